"""Tiny language models with random weights, and plain arithmetic to compare with."""
