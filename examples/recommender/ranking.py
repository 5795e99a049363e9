"""How good rankings are: for each user, what is liked later among the ten films that are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from examples.recommender.ratings import Ratings

TOP = 10


@dataclass(frozen=True, slots=True)
class Rankings:
    """NDCG and hits among the first ten, a value for each user who liked something later."""

    ndcg: npt.NDArray[np.float64]
    hits: npt.NDArray[np.float64]


def ranked(ratings: Ratings, scores_of: Callable[[int], npt.NDArray[np.float32]]) -> Rankings:
    """Rank the films that a user has not rated, and look at what is liked later."""
    gains = 1 / np.log2(np.arange(TOP) + 2)
    ndcg, hits = [], []
    for user in np.unique(ratings.liked_later[:, 0]):
        scores = scores_of(int(user)).copy()
        scores[ratings.seen[ratings.seen[:, 0] == user, 1]] = -np.inf
        later = ratings.liked_later[ratings.liked_later[:, 0] == user, 1]
        right = np.isin(np.argsort(-scores, kind="stable")[:TOP], later)
        ndcg.append((right * gains).sum() / gains[: min(TOP, len(later))].sum())
        hits.append(float(right.any()))
    return Rankings(np.array(ndcg), np.array(hits))
