"""How much memory this process and its children may use: the machine's, less what a control group takes."""

from __future__ import annotations

import os
from pathlib import Path

from headrace.machine.control_groups import memory_limit

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def usable_memory_bytes() -> int:
    """What the machine has, or the tightest limit allows; 0 where neither is told."""
    limits = (_physical_bytes(), memory_limit() or 0)
    return min((limit for limit in limits if limit > 0), default=0)


def own_memory_bytes(pid: int) -> int:
    """Of a process's resident memory, what is no file's: the kernel cannot drop it. 0 where it is gone."""
    try:
        _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
    except OSError:  # no such process any more, or a system without such files
        return 0
    return (resident - shared) * _PAGE_BYTES


def _physical_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
    except (AttributeError, ValueError, OSError):  # not every system tells
        return 0
