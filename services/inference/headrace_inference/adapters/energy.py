"""What this process used: processor time, and energy by the best counter that can be read here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from headrace_inference.domain.versions.energy_shares import EnergySource, Usage

logger = logging.getLogger(__name__)

POWERCAP = Path("/sys/class/powercap")
_PACKAGES = "intel-rapl:?"
"""The packages of processors; AMD's have the same names."""

Joules = Callable[[], float]
"""Energy that only grows."""


class ProcessUsage:
    """The usage of this process.

    `watts`: what a core is taken to need while it is busy, where no counter of the processor can be read;
    `devices` is the counter of devices, where there are any.
    """

    def __init__(
        self, watts: float, devices: Joules | None = None, powercap: Path = POWERCAP
    ) -> None:
        self._cpu_seconds = time.process_time()
        self._busy_seconds = _busy_seconds()
        self._watts = watts
        self._packages = _packages(powercap)
        self._devices = devices
        self._device_joules = devices() if devices is not None else 0.0
        self.source = EnergySource.RAPL if self._packages else EnergySource.MODEL

    def take(self) -> Usage:
        """The usage since this was last called."""
        before, self._cpu_seconds = self._cpu_seconds, time.process_time()
        busy_before, self._busy_seconds = self._busy_seconds, _busy_seconds()
        used = self._cpu_seconds - before
        busy = self._busy_seconds - busy_before
        joules = {self.source: self._processor_joules(used, busy)}
        if self._devices is not None:
            known, self._device_joules = self._device_joules, self._devices()
            joules[EnergySource.NVML] = max(0.0, self._device_joules - known)
        return Usage(round(used * 1e6), joules)

    def _processor_joules(self, used: float, busy: float) -> float:
        if not self._packages:
            return used * self._watts
        share = min(1.0, used / busy) if busy > 0 else 0.0
        return sum(package.take() for package in self._packages) * share


class _Package:
    """The counter of one processor, which wraps."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text())
        self._last = self._read()

    def _read(self) -> int:
        return int(self._file.read_text())

    def take(self) -> float:
        try:
            now = self._read()
        except (OSError, ValueError):
            return 0.0
        used, self._last = (now - self._last) % (self._range + 1), now
        return used / 1e6


def _packages(powercap: Path) -> list[_Package]:
    """Those whose counters may be read: mostly by root alone."""
    try:
        return [_Package(folder) for folder in sorted(powercap.glob(_PACKAGES))]
    except (OSError, ValueError) as error:
        logger.debug("the processor's counter of energy cannot be read: %s", error)
        return []


def _busy_seconds() -> float:
    """The time for which the machine's cores were not idle, together."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    return float(sum(times) - idle)
