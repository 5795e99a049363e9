"""Counts the cores that the runtime may use: as many as the process."""

from headrace.machine.cores import usable_cores

__all__ = ["usable_cores"]
