"""What the domain needs from outside: stores, runtimes, other services."""
