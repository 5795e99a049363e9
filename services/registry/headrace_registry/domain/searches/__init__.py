"""Searches of versions: their fields, their order, their pages."""
