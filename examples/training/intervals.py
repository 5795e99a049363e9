"""Figures with the interval in which they lie, by bootstrap over rows and by cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Metric = Callable[..., float]
ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, and where it is at 95 %."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


def bootstrapped(metric: Metric, *columns: Array, seed: int, rounds: int = ROUNDS) -> Figure:
    """A metric of rows, and the middle 95 % of it over rows drawn again with replacement."""
    random = np.random.default_rng(seed)
    count = len(columns[0])
    again = []
    for _ in range(rounds):
        rows = random.integers(count, size=count)
        again.append(metric(*(column[rows] for column in columns)))
    low, high = np.quantile(again, (0.025, 0.975))
    return Figure(float(metric(*columns)), float(low), float(high))


def over_folds(values: Sequence[float]) -> Figure:
    """The mean over folds, and two standard errors on either side."""
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    mean = float(np.mean(values))
    return Figure(mean, mean - 2 * error, mean + 2 * error)


def as_json(figures: Mapping[str, Figure]) -> dict[str, dict[str, float]]:
    """Figures as a JSON document has them."""
    return {name: asdict(figure) for name, figure in figures.items()}
