"""What a measure of answers does, and sums that all of them need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Interval = tuple[float, float]


class Measure(Protocol):
    """Values by name of some rows."""

    @property
    def rows(self) -> int:
        """The number of rows."""

    def values(self, weights: Floats) -> dict[str, Floats]:
        """The values by name [draws], for weights [draws, rows]; NaN where one is not defined."""

    def closed_intervals(self) -> Mapping[str, Interval]:
        """The intervals at 95 % that a formula gives."""

    def undefined(self) -> Mapping[str, str]:
        """Why values are not defined for these rows, by name."""

    def take(self, places: Places) -> Measure:
        """The measure of some of the rows."""


class Sums:
    """Sums of weights by code; rows of a negative code are of none."""

    def __init__(self, codes: npt.NDArray[Any], size: int) -> None:
        order = np.argsort(codes, kind="stable")
        ordered = codes[order]
        first = int(np.searchsorted(ordered, 0))
        self._order = order[first:]
        self._present, self._starts = np.unique(ordered[first:], return_index=True)
        self._size = size

    def of(self, weights: Floats) -> Floats:
        """The sums [draws, size] of weights [draws, rows]."""
        sums = np.zeros((len(weights), self._size))
        if len(self._present):
            parts = np.add.reduceat(weights[:, self._order], self._starts, axis=1)
            sums[:, self._present] = parts
        return sums


def ratio(part: Floats, whole: Floats, empty: float = 0.0) -> Floats:
    """Part by whole, and `empty` where the whole is nothing."""
    part, whole = np.broadcast_arrays(part, whole)
    found = np.full(part.shape, empty, dtype=np.float64)
    return np.asarray(np.divide(part, whole, out=found, where=whole > 0))


def ones(rows: int) -> Floats:
    """Weights that count each row once."""
    return np.ones((1, rows))


class Together:
    """Several measures of the same rows."""

    def __init__(self, measures: Sequence[Measure]) -> None:
        self.parts = tuple(measures)
        self.rows = measures[0].rows

    def values(self, weights: Floats) -> dict[str, Floats]:
        """The values of all of them."""
        return {name: of for each in self.parts for name, of in each.values(weights).items()}

    def closed_intervals(self) -> Mapping[str, Interval]:
        """The intervals of all of them."""
        return {name: of for each in self.parts for name, of in each.closed_intervals().items()}

    def undefined(self) -> Mapping[str, str]:
        """What is not defined of all of them."""
        return {name: why for each in self.parts for name, why in each.undefined().items()}

    def take(self, places: Places) -> Together:
        """The measures of some of the rows."""
        return Together([each.take(places) for each in self.parts])
