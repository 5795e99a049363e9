"""Keeps the tokens that may be drawn: the k largest, a nucleus, those near the best, typical ones.

Weights need not add up to 1; one that is dropped becomes 0. Of equals the one at the lower place stays, so
that the outcome depends on values alone.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]

_BLOCK = 256
"""Values whose sum is taken at once: a running sum over all of a vocabulary takes longer than a sort."""


def top_k(values: Values, count: int) -> Places:
    """Return the places of the `count` largest, in ascending order; there are as many at least."""
    least = np.partition(values, len(values) - count)[len(values) - count]
    kept = np.flatnonzero(values >= least)
    surplus = len(kept) - count
    return np.delete(kept, np.flatnonzero(values[kept] == least)[-surplus:]) if surplus else kept


def top_p(weights: Values, share: float) -> Values:
    """Keep the fewest, largest first, that have at least `share` of all weight; one at least."""
    total = float(weights.sum())
    falling = _falling(weights, np.float32(max(0.0, 1.0 - share) * total / len(weights)))
    last = min(_crossing(falling, share * total, "left"), len(falling) - 1)
    return weights * _foremost(weights, falling[last], last + 1)


def min_p(weights: Values, share: float) -> Values:
    """Keep those that have at least `share` of the largest weight."""
    near = weights >= np.float32(share) * weights.max()
    kept: Values = weights * near
    return kept


def typical_p(weights: Values, share: float) -> Values:
    """Keep the fewest that have `share` of all weight, beginning with those as surprising as expected."""
    chances = weights / weights.sum()
    surprise = -np.log(np.maximum(chances, np.finfo(np.float32).tiny))
    nearness = -np.abs(surprise - chances @ surprise)
    order = np.argsort(nearness)[::-1]
    last = min(_crossing(chances[order], share, "left"), len(order) - 1)
    return weights * _foremost(nearness, nearness[order[last]], last + 1)


def draw(weights: Values, chance: float) -> int:
    """Return the place at which the running sum of weights passes `chance` (in [0, 1)) of their total."""
    place = _crossing(weights, chance, "right", relative=True)
    if place < len(weights) and weights[place] > 0:
        return place
    return int(np.flatnonzero(weights)[-1])  # rounding took the last step past the end


def _falling(weights: Values, bound: np.float32) -> Values:
    """The weights from the largest on, without those below the bound.

    All below it together have less than the share that may be missing: that leaves few to sort, mostly.
    """
    near = weights >= bound
    few = np.count_nonzero(near) < len(weights) // 8
    return np.sort(weights[near] if few else weights)[::-1]


def _foremost(values: Values, least: np.float32, count: int) -> npt.NDArray[np.bool_]:
    """Mark the `count` largest values, of which `least` is the smallest."""
    kept = values >= least
    surplus = np.count_nonzero(kept) - count
    if surplus > 0:
        kept[np.flatnonzero(values == least)[-surplus:]] = False
    return kept


def _crossing(
    values: Values, target: float, side: Literal["left", "right"], *, relative: bool = False
) -> int:
    """Return the first place whose running sum reaches (left) or passes (right) the target.

    It is the number of values where none does. A relative target is a share of the sum.
    """
    running = np.cumsum(
        np.add.reduceat(values, np.arange(0, len(values), _BLOCK)), dtype=np.float64
    )
    if relative:
        target *= float(running[-1])
    block = int(np.searchsorted(running, target, side=side))
    if block == len(running):
        return len(values)
    start = block * _BLOCK
    inner = np.cumsum(values[start : start + _BLOCK], dtype=np.float64)
    inner += running[block - 1] if block else 0.0
    # The block's own sum was rounded: the target may lie just behind its last value.
    return start + min(int(np.searchsorted(inner, target, side=side)), len(inner) - 1)
