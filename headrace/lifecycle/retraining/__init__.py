"""Trains a model anew when it is time: a command, then evaluate, gate, canary, promote or back."""
