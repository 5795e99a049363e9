"""Every reason of docs/errors.md: how it comes about for real, and what an exact client sees of it."""
