"""The pages: their links, their tables, and their examples, which are run."""
