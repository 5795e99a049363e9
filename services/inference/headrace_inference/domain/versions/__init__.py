"""A version that is loaded: its identity, its checks of requests, its labels, its statistics."""
