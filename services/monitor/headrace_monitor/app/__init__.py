"""The monitor, put together."""
