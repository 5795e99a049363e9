"""Estimates how good answers are whose truth is not known, from how sure the version was of them.

How often a version is right when it is so sure is learnt from its answers whose truth is known, as a
function that never falls (isotonic). That a class changed its meaning nobody can see this way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace_monitor.domain.quality.auc import area
from headrace_monitor.domain.quality.classification import DRAWS, Array, Rates, judged_arrays
from headrace_monitor.domain.quality.figures import (
    ACCURACY,
    PRECISION,
    ROC_AUC,
    Figure,
)
from headrace_monitor.domain.quality.intervals import of_draws
from headrace_monitor.domain.quality.tallies import BINS, Tally

FEWEST = 30
"""Labels; with fewer nothing is estimated."""

SMALL = 1_000
"""Labels; with fewer the estimate says that it was learnt from few."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often what is sought was true, by bin, as it was learnt."""

    rates: Array
    """By bin, rising."""
    blocks: npt.NDArray[np.intp]
    """The block of each bin: bins in which the rate is the same."""
    hits: Array
    """By block."""
    counts: Array
    """By block."""

    @property
    def labels(self) -> int:
        """Return how many labels it was learnt from."""
        return int(self.counts.sum())


def calibrate(judged: Mapping[int, tuple[int, int]]) -> Calibration | None:
    """Learn from counts by bin; None where there are too few."""
    no, yes = judged_arrays(judged)
    places = np.flatnonzero(no + yes > 0)
    if (no + yes).sum() < FEWEST:
        return None
    hits, counts, sizes = _pool(yes[places], (no + yes)[places])
    block_of_place = np.repeat(np.arange(len(sizes)), sizes)
    rates = np.interp(np.arange(BINS), places, (hits / counts)[block_of_place])
    edges = (
        places[1:] + places[:-1]
    ) / 2  # a bin without labels belongs to the nearest that has some
    blocks = block_of_place[np.searchsorted(edges, np.arange(BINS))]
    return Calibration(rates, blocks, hits, counts)


def _pool(hits: Array, counts: Array) -> tuple[Array, Array, list[int]]:
    """Join neighbours until no rate is below the one before it."""
    pooled: list[tuple[float, float, int]] = []
    for block in zip(hits.tolist(), counts.tolist(), [1] * len(hits), strict=True):
        joined = block
        while pooled and pooled[-1][0] * joined[1] >= joined[0] * pooled[-1][1]:
            last = pooled.pop()
            joined = (last[0] + joined[0], last[1] + joined[1], last[2] + joined[2])
        pooled.append(joined)
    return (
        np.array([block[0] for block in pooled]),
        np.array([block[1] for block in pooled]),
        [block[2] for block in pooled],
    )


def estimated_figures(tally: Tally, calibration: Calibration) -> Iterator[Figure]:
    """Yield what is expected of all answers of a tally, with or without truth."""
    seen = {name: _array(bins) for name, bins in tally.seen.items() if bins}
    rows = int(sum(bins.sum() for bins in seen.values()))
    if not rows:
        return
    estimate = _of_two if tally.positive else _of_confidence
    expected = estimate(seen, tally.positive, *_expected(seen, calibration))
    drawn = estimate(seen, tally.positive, *_draws(seen, calibration))
    for (name, of), value in expected.items():
        middle = float(value)
        low, high = of_draws(drawn[name, of])
        yield Figure(name, middle, min(low, middle), max(high, middle), rows, of, estimated=True)


Named = dict[tuple[str, str], Array]
"""Figures by name and class."""


def _of_two(seen: Mapping[str, Array], positive: str, true: Array, missed: Array) -> Named:
    """The figures of two classes, of counts by class answered and bin [..., answered, bins]."""
    is_positive = np.array([name == positive for name in seen])
    hits, misses = true.sum(axis=-1), missed.sum(axis=-1)
    right, wrong = hits[..., is_positive].sum(axis=-1), misses[..., is_positive].sum(axis=-1)
    left, fine = hits[..., ~is_positive].sum(axis=-1), misses[..., ~is_positive].sum(axis=-1)
    rates = Rates(
        np.stack([right, fine], axis=-1),
        np.stack([right + wrong, left + fine], axis=-1),
        np.stack([right + left, wrong + fine], axis=-1),
    )
    rows = right + wrong + left + fine
    named: Named = {(ACCURACY, ""): (right + fine) / rows}
    named |= {(name, ""): values for name, values in rates.means().items()}
    named |= {(name, positive): values[..., 0] for name, values in rates.of_classes().items()}
    named[ROC_AUC, positive] = area(missed.sum(axis=-2), true.sum(axis=-2))
    return named


def _of_confidence(seen: Mapping[str, Array], _: str, true: Array, missed: Array) -> Named:
    """Return accuracy and precision: of a wrong answer nobody knows which class was the truth."""
    right, wrong = true.sum(axis=-1), missed.sum(axis=-1)
    named: Named = {(ACCURACY, ""): right.sum(axis=-1) / (right + wrong).sum(axis=-1)}
    for place, name in enumerate(seen):
        answered = right[..., place] + wrong[..., place]
        named[PRECISION, name] = right[..., place] / answered
    return named


def _expected(seen: Mapping[str, Array], calibration: Calibration) -> tuple[Array, Array]:
    counts = np.stack(list(seen.values()))
    true = counts * calibration.rates
    return true, counts - true


def _draws(seen: Mapping[str, Array], calibration: Calibration) -> tuple[Array, Array]:
    """What else it could be: other calibrations that the labels allow, and the chance of each answer."""
    random = np.random.default_rng(1)
    counts = np.stack(list(seen.values())).astype(np.int64)
    filled = np.flatnonzero(counts.sum(axis=0))
    hits, misses = calibration.hits, calibration.counts - calibration.hits
    of_blocks = random.beta(hits + 0.5, misses + 0.5, (DRAWS, len(hits)))
    rates = of_blocks[:, calibration.blocks[filled]]
    kept = counts[:, filled]
    true = random.binomial(kept, rates[:, np.newaxis, :]).astype(np.float64)
    return true, kept - true


def _array(bins: Mapping[int, int]) -> Array:
    counts = np.zeros(BINS)
    for place, count in bins.items():
        counts[place] = max(count, 0)
    return counts
