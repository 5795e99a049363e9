"""Demonstrations and models that are trained, pushed, served and called, each in a folder."""
