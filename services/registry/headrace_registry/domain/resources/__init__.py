"""The rules of models, versions, aliases and routes: from what is known and a request to one change."""
