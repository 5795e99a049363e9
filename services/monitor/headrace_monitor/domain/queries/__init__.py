"""Questions about a stretch of time, and their answers."""
