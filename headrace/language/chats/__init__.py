"""Conversations as a model was taught to read them: templates, which nobody trusts, and calls of tools."""
