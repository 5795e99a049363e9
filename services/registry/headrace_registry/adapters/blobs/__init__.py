"""Artifact bytes on disk, by SHA-256: stored, scrubbed, and room for them."""
