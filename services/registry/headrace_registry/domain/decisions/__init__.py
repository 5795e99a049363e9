"""Decides changes: what they are decided from, the rules, and the result."""
