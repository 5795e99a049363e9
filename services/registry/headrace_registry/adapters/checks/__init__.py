"""Checking pushed artifacts in child processes: unpacked, read, opened and run within limits."""
