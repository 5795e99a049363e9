"""What answers cost, as it was measured of one version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Cost:
    """Figures of one version, measured beside those of the others."""

    p50_ms: float
    """Of requests of one row, one at a time."""
    rows_per_second: float
    """Of requests of one row, several under way: the median of all turns."""
    requests: int
    cpu_seconds: float | None = None
    """Processor time for 1,000 rows; None where nobody tells."""
    joules: float | None = None
    """Energy for 1,000 rows; None where nobody tells."""
    energy_by: str = ""
    """How the energy was measured: nvml, rapl, or by a setting from processor time."""
    memory_bytes: int = 0
    """What it holds in memory; 0 where nobody tells."""
    batches: bool | None = None
    """Whether rows of several requests share a run; None where nothing is served."""

    @property
    def energy(self) -> float | None:
        """Return the energy for 1,000 rows, or processor time, its stand-in."""
        return self.joules if self.joules is not None else self.cpu_seconds


@dataclass(slots=True)
class Turns:
    """What the turns of one version gave so far."""

    latencies: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    requests: int = 0

    def p50_ms(self) -> float:
        """The median latency."""
        return median(self.latencies) * 1e3

    def rows_per_second(self) -> float:
        """The median rate."""
        return median(self.rates)


def median(values: Sequence[float]) -> float:
    """The median; 0 of nothing."""
    return float(np.median(values)) if values else 0.0
