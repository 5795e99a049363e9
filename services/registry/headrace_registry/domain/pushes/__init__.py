"""Pushing artifacts: room and pace for uploads, the blobs they bring, and the blobs nobody names."""
