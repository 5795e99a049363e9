"""The shared state in Redis: the change log, its epochs, and what is noted of its history."""
