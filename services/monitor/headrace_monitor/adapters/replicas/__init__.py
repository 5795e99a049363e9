"""Calls of replicas, for whoever tries a model in the console."""
