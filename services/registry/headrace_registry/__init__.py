"""The registry: models, versions, aliases, routes and artifacts."""
