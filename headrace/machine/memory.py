"""Reads the memory that this machine has for us, and that processes hold."""

from __future__ import annotations

import psutil

from headrace.machine.control_groups import memory_limit


def usable_memory_bytes() -> int:
    """Return the bytes that this process and its children may use: the machine's, or the tightest limit."""
    machine = int(psutil.virtual_memory().total)
    return min(machine, memory_limit() or machine)


def resident_bytes(pid: int | None = None) -> int:
    """The resident set of this process, or of another; 0 where that is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def own_memory_bytes(pid: int | None = None) -> int:
    """Of the resident set of this process, or of another, what is no file's: the kernel cannot drop it.

    0 where the process is gone. All of the resident set where the system does not tell them apart.
    """
    try:
        found = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return int(found.rss - getattr(found, "shared", 0))
