"""Shows the machine's CPU and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil

from headrace_inference.adapters.metrics.text import Family

MIN_INTERVAL_SECONDS = 1.0
"""Utilisation is of the time between scrapes; scrapes closer than this share a value."""


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of all cores together since the machine's start."""

    busy: float
    total: float


def read_cpu_times() -> CpuTimes:
    """The times at present. Waiting for disks is no work, and time of guests is in the user's already."""
    times = psutil.cpu_times()._asdict()
    total = sum(seconds for name, seconds in times.items() if not name.startswith("guest"))
    return CpuTimes(total - times["idle"] - times.get("iowait", 0.0), total)


class MachineMeter:
    """Measures when asked; utilisation is that since it was asked before."""

    def __init__(
        self,
        cpu_times: Callable[[], CpuTimes] = read_cpu_times,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cpu_times = cpu_times
        self._clock = clock
        self._utilization = 0.0
        self._read_at = clock()
        self._times = cpu_times()

    def families(self) -> Iterator[Family]:
        """Utilisation from 0 to 1, total and used memory."""
        self._measure()
        yield _gauge("nv_cpu_utilization", "CPU utilisation, 0 to 1", self._utilization)
        memory = psutil.virtual_memory()
        yield _gauge("nv_cpu_memory_total_bytes", "The machine's memory", memory.total)
        used = memory.total - memory.available
        yield _gauge("nv_cpu_memory_used_bytes", "Of which in use", used)

    def _measure(self) -> None:
        now = self._clock()
        if now - self._read_at < MIN_INTERVAL_SECONDS:
            return
        former, self._times, self._read_at = self._times, self._cpu_times(), now
        if self._times.total > former.total:
            busy = self._times.busy - former.busy
            self._utilization = min(1.0, max(0.0, busy / (self._times.total - former.total)))


def _gauge(name: str, text: str, value: float) -> Family:
    family = Family(name, "gauge", text)
    family.add(value)
    return family
