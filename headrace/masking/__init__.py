"""Masks what rules name in texts: of payloads that replicas log, and of data sets."""
