"""Divides what may be sampled among versions. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BYTES_PER_SECOND = 16 * 2**20
"""Of rows that are copied, over all versions: 26 images of 3 x 224 x 224 floats."""

FIRST_BYTES = 4 * 2**20
"""Of one version's rows, before it is known how many come."""

CPU_SHARE = 0.01
"""Of one core, for the thread that looks at them."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one version has: rows that came, their size, and the time that looking at one takes."""

    rows: float
    row_bytes: float = 0.0
    row_seconds: float = 0.0


def allotments(demands: Sequence[Demand], rows_per_second: float, seconds: float) -> list[float]:
    """The rows of each version that may be taken in so many seconds.

    Rows, their bytes and the time that they take are divided so that who has little gets all of it, and
    the others get equal parts.
    """
    rows = fair_parts([demand.rows for demand in demands], rows_per_second * seconds)
    for costs, most in (
        ([demand.row_bytes for demand in demands], BYTES_PER_SECOND * seconds),
        ([demand.row_seconds for demand in demands], CPU_SHARE * seconds),
    ):
        wanted = [count * cost for count, cost in zip(rows, costs, strict=True)]
        parts = fair_parts(wanted, most)
        rows = [
            count * part / want if want > part else count
            for count, want, part in zip(rows, wanted, parts, strict=True)
        ]
    return rows


def fair_parts(wanted: Sequence[float], total: float) -> list[float]:
    """Divide a total: nobody gets more than it wants, and nobody who gets less than another wants more."""
    parts = [0.0] * len(wanted)
    places = sorted(range(len(wanted)), key=wanted.__getitem__)
    for done, place in enumerate(places):
        part = min(wanted[place], total / (len(places) - done))
        parts[place] = part
        total -= part
    return parts
