"""Faults on purpose: clients write, read and call while all that is under them fails."""
