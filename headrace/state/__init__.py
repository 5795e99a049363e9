"""The shared state: what its records are, where they lie in Redis, and how to follow them."""
