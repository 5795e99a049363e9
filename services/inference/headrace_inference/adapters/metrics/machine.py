"""The machine's CPU and memory, as Linux's /proc has them; elsewhere nothing is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace_inference.adapters.metrics.text import Family

PROC = Path("/proc")

MIN_INTERVAL_SECONDS = 1.0
"""Utilisation is of the time between scrapes; scrapes closer than this share a value."""

_COUNTED = 8
"""user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in user already."""
_IDLE, _IO_WAIT = 3, 4


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Since the machine's start, in its own ticks."""

    busy: int
    total: int


def parse_stat(text: str) -> CpuTimes:
    """The times of all cores together from the text of /proc/stat."""
    ticks = [int(word) for word in text.partition("\n")[0].split()[1 : _COUNTED + 1]]
    total = sum(ticks)
    return CpuTimes(total - ticks[_IDLE] - ticks[_IO_WAIT], total)


def parse_meminfo(text: str) -> tuple[int, int]:
    """Total and used bytes from the text of /proc/meminfo."""
    sizes = {line.partition(":")[0]: line.split()[1] for line in text.splitlines()}
    total, available = int(sizes["MemTotal"]), int(sizes["MemAvailable"])
    return total * 1024, (total - available) * 1024


class MachineMeter:
    """Reads /proc when asked; utilisation is that since it was asked before."""

    def __init__(self, proc: Path = PROC, clock: Callable[[], float] = time.monotonic) -> None:
        self._proc = proc
        self._clock = clock
        self._utilization = 0.0
        self._read_at = clock()
        self._times = self._cpu_times()

    def families(self) -> Iterator[Family]:
        """Utilisation from 0 to 1, total and used memory."""
        self._measure()
        if self._times is not None:
            yield _gauge("nv_cpu_utilization", "CPU utilisation, 0 to 1", self._utilization)
        meminfo = self._proc / "meminfo"
        if meminfo.exists():
            total, used = parse_meminfo(meminfo.read_text())
            yield _gauge("nv_cpu_memory_total_bytes", "The machine's memory", total)
            yield _gauge("nv_cpu_memory_used_bytes", "Of which in use", used)

    def _measure(self) -> None:
        now = self._clock()
        if self._times is None or now - self._read_at < MIN_INTERVAL_SECONDS:
            return
        former, self._times, self._read_at = self._times, self._cpu_times(), now
        if self._times is not None and self._times.total > former.total:
            busy = self._times.busy - former.busy
            self._utilization = min(1.0, max(0.0, busy / (self._times.total - former.total)))

    def _cpu_times(self) -> CpuTimes | None:
        stat = self._proc / "stat"
        return parse_stat(stat.read_text()) if stat.exists() else None


def _gauge(name: str, text: str, value: float) -> Family:
    family = Family(name, "gauge", text)
    family.add(value)
    return family
