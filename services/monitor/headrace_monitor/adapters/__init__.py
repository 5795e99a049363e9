"""Implementations of what the domain needs from outside: the store, metrics, times."""
