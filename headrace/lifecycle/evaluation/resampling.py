"""Draws rows again and again with replacement: how far a value would differ in other data of the kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.evaluation.measures.measure import Floats, Measure

RESAMPLES = 1000
RARE_ROWS = 20
"""A class of fewer true rows would be missing in some resamples: each class is then drawn by itself."""
_CELLS = 200_000_000
"""Rows times resamples that are spent at most; there are 200 resamples always."""
_FEWEST = 200
_BLOCK_CELLS = 500_000
"""Weights that are in memory at once: 4 MB."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """How rows are drawn: by themselves, within strata, or whole groups of them."""

    rows: int
    draws: int = RESAMPLES
    seed: int = 0
    strata: npt.NDArray[np.intp] | None = field(default=None, repr=False)
    groups: npt.NDArray[np.intp] | None = field(default=None, repr=False)
    """The group of each row, from 0: rows of a group are not independent, and are drawn together."""

    @property
    def units(self) -> int:
        """How many things are drawn that are independent of each other."""
        return self.rows if self.groups is None else int(self.groups.max()) + 1

    def blocks(self) -> Iterator[Floats]:
        """Yield how often each row was drawn [some draws, rows], until there are all draws."""
        rng = np.random.default_rng(self.seed)
        left, size = self.draws, max(1, _BLOCK_CELLS // max(self.rows, 1))
        while left > 0:
            count = min(left, size)
            yield self._weights(rng, count)
            left -= count

    def _weights(self, rng: np.random.Generator, draws: int) -> Floats:
        if self.groups is not None:
            drawn = rng.integers(0, self.units, (draws, self.units))
            return _counts(drawn, self.units)[:, self.groups]
        if self.strata is None:
            return _counts(rng.integers(0, self.rows, (draws, self.rows)), self.rows)
        order = np.argsort(self.strata, kind="stable")
        _, starts, sizes = np.unique(self.strata[order], return_index=True, return_counts=True)
        start, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
        places = start + (rng.random((draws, self.rows)) * size).astype(np.intp)
        return _counts(order[places], self.rows)


def resampling_of(
    rows: int,
    *,
    draws: int = RESAMPLES,
    seed: int = 0,
    classes: npt.NDArray[np.intp] | None = None,
    groups: npt.NDArray[np.intp] | None = None,
) -> Resampling:
    """How these rows are drawn: stratified where a class is rare, and fewer times where they are many."""
    bounded = max(min(draws, _FEWEST), min(draws, _CELLS // max(rows, 1)))
    strata = classes if groups is None and _has_rare(classes) else None
    return Resampling(rows, bounded, seed, strata, groups)


def drawn(measure: Measure, resampling: Resampling) -> dict[str, Floats]:
    """The draws of each value."""
    blocks = [measure.values(weights) for weights in resampling.blocks()]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _has_rare(classes: npt.NDArray[np.intp] | None) -> bool:
    if classes is None or not len(classes):
        return False
    counts = np.unique(classes, return_counts=True)[1]
    return len(counts) > 1 and int(counts.min()) < RARE_ROWS


def _counts(drawn: npt.NDArray[np.intp], size: int) -> Floats:
    """How often each place was drawn, by row of `drawn`."""
    draws = len(drawn)
    flat = drawn + (np.arange(draws) * size)[:, None]
    counts = np.bincount(flat.ravel(), minlength=draws * size)
    return counts.reshape(draws, size).astype(np.float64)
