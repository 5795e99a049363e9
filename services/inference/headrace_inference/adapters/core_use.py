"""Watches who uses the cores: this process, and whatever else runs on the machine."""

from __future__ import annotations

import os
import time

import psutil

from headrace.machine.cores import usable_cores

_IDLE_SHARE = 0.8
"""Of the cores that this process may use so many must be idle for the machine to be quiet."""

_SERVING_SHARE = 0.1
"""Of those cores this process uses more only where it answers requests."""


class MachineCoreUse:
    """Looks at the system's own counts, each time from the last one on.

    A machine may have more cores than we may use, and others busy on them: it is quiet where as many are
    idle as we may use.
    """

    def __init__(self, cores: int | None = None) -> None:
        self._cores = cores or usable_cores()
        self._idle = idle_seconds()
        self._own = (time.monotonic(), time.process_time())

    def is_quiet(self) -> bool:
        """Tell whether nearly all cores were idle since this was last asked."""
        (before, before_idle), self._idle = self._idle, idle_seconds()
        now, idle = self._idle
        passed = now - before
        return passed > 0 and idle - before_idle >= _IDLE_SHARE * self._cores * passed

    def is_serving(self) -> bool:
        """Tell whether this process used more than a little of the cores since this was last asked."""
        (before, before_used), self._own = self._own, (time.monotonic(), time.process_time())
        now, used = self._own
        return used - before_used > _SERVING_SHARE * self._cores * (now - before)


def idle_seconds() -> tuple[float, float]:
    """The time, and for how long the cores that this process may run on were idle until then, together."""
    idle = [each.idle for each in psutil.cpu_times(percpu=True)]
    if hasattr(os, "sched_getaffinity"):  # macOS has none
        idle = [idle[core] for core in os.sched_getaffinity(0) if core < len(idle)]
    return time.monotonic(), sum(idle)
