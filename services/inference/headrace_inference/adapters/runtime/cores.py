"""How many cores this process may use: what the scheduler grants, less what a container's quota takes."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")
"""Control groups, version 2: `<microseconds granted> <microseconds of the period>`, or `max <period>`."""


def usable_cores(quota_file: Path = QUOTA_FILE) -> int:
    """At least 1. Threads over a container's quota are throttled, all of them together."""
    granted = _scheduled_cores()
    quota = quota_cores(quota_file.read_text()) if quota_file.is_file() else None
    return granted if quota is None else max(1, min(granted, quota))


def quota_cores(text: str) -> int | None:
    """The whole cores that a quota pays for; None where there is no quota."""
    granted, _, period = text.strip().partition(" ")
    return None if granted == "max" or not period else int(granted) // int(period)


def _scheduled_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it, macOS and Windows do not
    return len(affinity(0)) if affinity else os.cpu_count() or 1
