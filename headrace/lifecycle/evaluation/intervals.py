"""Intervals at 95 % of what was measured, by formula or from resampled rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
_Z = 1.959963984540054


def wilson(hits: float, count: float) -> tuple[float, float]:
    """Wilson's interval of a share, as the monitor has it: within 0 and 1, never without a width."""
    if count <= 0:
        return 0.0, 1.0
    rate, z2 = hits / count, _Z * _Z
    middle = rate + z2 / (2 * count)
    spread = _Z * math.sqrt(max(rate * (1 - rate), 0.0) / count + z2 / (4 * count * count))
    divisor = 1 + z2 / count
    low, high = (middle - spread) / divisor, (middle + spread) / divisor
    return max(min(low, rate), 0.0), min(max(high, rate), 1.0)


def of_draws(draws: npt.NDArray[Any]) -> tuple[float, float] | None:
    """The middle 95 % of draws; None where fewer than half of them are defined."""
    defined = draws[np.isfinite(draws)]
    if len(defined) * 2 < len(draws) or not len(defined):
        return None
    low, high = np.quantile(defined, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return float(low), float(high)


def around(
    value: float, interval: tuple[float, float] | None, *, rows: int, is_share: bool
) -> tuple[float, float] | None:
    """The interval, which holds the value; a share that all draws agree on has Wilson's.

    Where all draws are equal, as of an area of 1, the rows do not say how far that is chance.
    """
    if interval is None:
        return None
    low, high = interval
    if low == high and is_share:
        low, high = wilson(value * rows, rows)
    return min(low, value), max(high, value)


def all_around(
    values: Mapping[str, float],
    draws: Mapping[str, npt.NDArray[Any]],
    closed: Mapping[str, tuple[float, float]],
    rows: int,
    is_share: Any,
) -> dict[str, tuple[float, float] | None]:
    """The interval of each value: that of its formula, or else that of its draws."""
    return {
        name: closed.get(name)
        or around(
            value,
            of_draws(draws[name]) if name in draws else None,
            rows=rows,
            is_share=is_share(name),
        )
        for name, value in values.items()
    }
