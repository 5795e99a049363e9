"""Drift: rows compared with a reference, and what is found."""
