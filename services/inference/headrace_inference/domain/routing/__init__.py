"""Resolves beforehand which version answers for each name."""
