"""The description of the HTTP routes, made from what they are: document and page."""
