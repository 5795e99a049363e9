"""The registry's connections to the outside: Redis, the disk, the process that checks models."""
