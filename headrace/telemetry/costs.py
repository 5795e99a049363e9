"""What a version cost: from processor time and energy, which replicas measure, and prices that are set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_MICROSECONDS_AN_HOUR = 3_600_000_000
_MILLIJOULES_A_KWH = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """What is paid, in whatever currency; 0: nothing is known of it."""

    per_core_hour: float = 0.0
    per_kwh: float = 0.0

    @property
    def is_set(self) -> bool:
        """Return whether anything is known."""
        return bool(self.per_core_hour or self.per_kwh)


@dataclass(frozen=True, slots=True)
class Costs:
    """What requests took, and what that costs; None: it is not known."""

    requests: int
    tokens: int
    """Of prompts and of answers; 0 for a version that generates nothing."""
    core_hours: float
    """Processor time of its replicas, measured, and shared among versions by how long their runs took."""
    kwh: float | None
    energy_by: tuple[str, ...]
    """How energy was got: nvml and rapl are measured, model is processor time times a setting."""
    total: float | None
    per_thousand_requests: float | None
    per_million_tokens: float | None
    is_without_energy: bool
    """Whether energy has a price, and none was told."""


def costs_of(
    cpu_us: int, energy_mj: Mapping[str, int], requests: int, tokens: int, prices: Prices
) -> Costs:
    """Add up what a version took by these prices."""
    core_hours = cpu_us / _MICROSECONDS_AN_HOUR
    kwh = sum(energy_mj.values()) / _MILLIJOULES_A_KWH if energy_mj else None
    total = None
    if prices.is_set:
        total = core_hours * prices.per_core_hour + (kwh or 0.0) * prices.per_kwh
    return Costs(
        requests,
        tokens,
        core_hours,
        kwh,
        tuple(sorted(energy_mj)),
        total,
        _each(total, requests, 1_000),
        _each(total, tokens, 1_000_000),
        bool(prices.per_kwh) and kwh is None,
    )


def _each(total: float | None, count: int, of: int) -> float | None:
    return None if total is None or not count else total / count * of
