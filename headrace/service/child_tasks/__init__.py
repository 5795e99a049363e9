"""Runs long or dangerous work in a process of its own: bounded, watched, cancelled by killing.

`process` is the side that wants the work done, `worker` the side that does it, `messages` what they say.
"""
