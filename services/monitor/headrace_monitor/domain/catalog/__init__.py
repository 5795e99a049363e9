"""What the registry says there is to serve: models with their parts, and replicas with what they hold."""
