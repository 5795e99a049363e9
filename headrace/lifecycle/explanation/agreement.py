"""Tells how far methods agree: ranks, the features that count most, signs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.explanation.attributions import Attribution

TOP = 5


@dataclass(frozen=True, slots=True)
class Agreement:
    """Between two methods, over the same features."""

    one: str
    other: str
    rank_correlation: float | None
    """Spearman's, of the values with their signs; None where one side is equal everywhere."""
    top: int
    top_overlap: float
    """The share of the `top` largest features, by amount, that both name."""
    same_sign: float
    """The share of the features that one of them names so, to which both give the same sign."""


def agreements(attributions: Sequence[Attribution]) -> Iterator[Agreement]:
    """Yield the agreement of each two of them."""
    for one, other in combinations(attributions, 2):
        first, second = np.array(one.values), np.array(other.values)
        top = min(TOP, len(first))
        ours, theirs = _largest(first, top), _largest(second, top)
        named = sorted(ours | theirs)
        yield Agreement(
            one.method,
            other.method,
            rank_correlation(first, second),
            top,
            len(ours & theirs) / top if top else 1.0,
            float(np.mean(np.sign(first[named]) == np.sign(second[named]))) if named else 1.0,
        )


def rank_correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation, equal values at their mean rank; None where one side has no order."""
    first, second = _ranks(one), _ranks(other)
    if len(first) < 2 or not np.ptp(first) or not np.ptp(second):
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _largest(values: npt.NDArray[np.float64], top: int) -> set[int]:
    return set(np.argsort(-np.abs(values), kind="stable")[:top].tolist())
