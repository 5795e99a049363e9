"""Counts the cores that this process may use: those the scheduler grants, less a quota."""

from __future__ import annotations

import os

from headrace.machine.control_groups import cpu_quota


def usable_cores() -> int:
    """At least 1. Threads over a quota are throttled, all of them together."""
    return whole_cores(_scheduled_cores(), cpu_quota())


def whole_cores(scheduled: int, quota: float | None) -> int:
    """The cores that a process can keep busy all the time, at least 1."""
    return scheduled if quota is None else max(1, min(scheduled, int(quota)))


def _scheduled_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it, macOS and Windows do not
    return len(affinity(0)) if affinity else os.cpu_count() or 1
