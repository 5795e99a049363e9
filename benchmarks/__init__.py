"""Measurements: one script for each question."""
