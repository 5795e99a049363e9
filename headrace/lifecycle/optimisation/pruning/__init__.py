"""Removes what a graph can do without: channels of layers, or single weights."""
