"""Calls of models to copy and paste, for the command line and the console."""
