"""Chooses the edges of bins: at the quantiles of a sample, or among edges that counts were taken in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.binning import between

QUANTILES = 64
"""So many bins hold alike many rows of the sample, where its values do not repeat."""

Floats = npt.NDArray[np.float64]


def edges_at_quantiles(values: Floats, quantiles: int = QUANTILES) -> tuple[float, ...]:
    """Edges at quantiles of finite values (one at least), ascending, from the least to the largest.

    A value that makes up a bin's share of the sample or more gets a bin of its own, so that its becoming
    rarer or more frequent is seen: zeros of a price, the year that most are of.
    """
    ordered = np.sort(values)
    places = np.linspace(0, len(ordered) - 1, quantiles + 1).round().astype(np.int64)
    chosen = ordered[places]
    return _with_own_bins(np.unique(chosen), chosen[1:][chosen[1:] == chosen[:-1]])


def _with_own_bins(edges: Floats, repeated: Floats) -> tuple[float, ...]:
    """With an edge right below each value that repeats, or above the least one, which is an edge itself."""
    least = edges[0]
    near = np.where(repeated == least, np.nextafter(least, np.inf), np.nextafter(repeated, -np.inf))
    return tuple(np.unique(np.concatenate([edges, near])).tolist())


def edges_among(
    uppers: Floats, counts: npt.NDArray[np.int64], quantiles: int = QUANTILES
) -> tuple[float, ...]:
    """Edges near the quantiles among those that bins already have, so that their counts stay exact.

    `uppers` are the upper edges of bins that follow one another, ascending, each holding what is over the
    edge before and up to its own; `counts` are theirs, one of them over 0.
    """
    cumulative = np.cumsum(counts)
    filled = np.flatnonzero(counts)
    first, last = int(filled[0]), int(filled[-1])
    wanted = np.linspace(0, cumulative[-1], quantiles + 1)[1:-1]
    places = np.searchsorted(cumulative, wanted, side="left")
    chosen = np.unique(np.concatenate([[max(first - 1, 0)], places, [max(last, 1)]]))
    return tuple(uppers[chosen].tolist())


def counts_between(edges: Sequence[float], values: Floats) -> npt.NDArray[np.int64]:
    """Counts of finite values below the first edge, in each pair of edges, and above the last."""
    return np.bincount(between(edges, values), minlength=len(edges) + 1).astype(np.int64)
