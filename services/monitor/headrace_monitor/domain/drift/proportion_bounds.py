"""Intervals for shares that a sample tells of: of a reference, whose shares nobody knows exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_HALVINGS = 50


def divergence(share: Floats, other: Floats) -> Floats:
    """Kullback and Leibler's divergence between two coins, by element; 0 where the shares are equal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        heads = np.where(share > 0, share * np.log(share / other), 0.0)
        tails = np.where(share < 1, (1 - share) * np.log((1 - share) / (1 - other)), 0.0)
    return heads + tails


def upper_bound(hits: Floats, rows: Floats, log_odds: float) -> Floats:
    """The largest shares that `hits` of `rows` leave possible, by Chernoff: each is passed by the truth
    with a probability of at most exp(-log_odds), for any number of rows.
    """
    share = np.divide(hits, rows, out=np.ones_like(hits), where=rows > 0)
    budget = np.divide(log_odds, rows, out=np.full_like(hits, np.inf), where=rows > 0)
    low, high = share.copy(), np.ones_like(share)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        inside = divergence(share, middle) <= budget
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return high
