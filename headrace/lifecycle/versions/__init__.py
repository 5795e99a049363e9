"""Versions as people look at them: their model cards, what differs between two, what was made of which."""
