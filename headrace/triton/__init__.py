"""Triton's configs and model repositories: read, written, carried over into Headrace."""
