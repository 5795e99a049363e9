"""Intervals at 95 % around what was counted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

_Z = 1.959963984540054


def wilson(hits: float, count: float) -> tuple[float, float]:
    """Wilson's interval of a rate; it stays within 0 and 1, and has a width where all or none were hits."""
    if count <= 0:
        return 0.0, 1.0
    rate, z2 = hits / count, _Z * _Z
    middle = rate + z2 / (2 * count)
    spread = _Z * math.sqrt(max(rate * (1 - rate), 0.0) / count + z2 / (4 * count * count))
    divisor = 1 + z2 / count
    low, high = (middle - spread) / divisor, (middle + spread) / divisor
    return max(min(low, rate), 0.0), min(max(high, rate), 1.0)  # rounding leaves no rate outside


def normal(total: float, squares: float, count: int) -> tuple[float, float]:
    """The interval of a mean, from the sum of values and that of their squares."""
    mean = total / count
    variance = max(squares / count - mean * mean, 0.0) * count / max(count - 1, 1)
    spread = _Z * math.sqrt(variance / count)
    return mean - spread, mean + spread


def of_error(value: float, error: float) -> tuple[float, float]:
    """The interval of a rate whose standard error is known."""
    return max(value - _Z * error, 0.0), min(value + _Z * error, 1.0)


def of_draws(draws: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the middle 95 % of draws."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)
