"""Models that lie in a folder, and are served without a registry."""
