"""The domain's connections to the outside: stores, runtimes, other services."""
