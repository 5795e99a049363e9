"""Versions prepared in a process of its own: opened on trial, optimised, measured, and kept on disk."""
