"""Profiles: counts of rows by bin, which add up over replicas and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


class AspectKey(NamedTuple):
    """One aspect of one field."""

    field: str
    aspect: str


class ProfileKey(NamedTuple):
    """Whose rows a profile tells of: those of a version, all of them or those of a slice."""

    model: str
    version: int
    slice: str = ""
    """`header x-region=eu`, `parameter tier=gold`; '' for all."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What some rows looked like. It does not change: a sum is a new one."""

    reference: str = ""
    """The digest of the reference whose bins it counts in; '' for bins of the floats' bits."""
    rows: int = 0
    """The rows that were looked at."""
    seen_rows: int = 0
    """The rows that there were, of which those are a sample."""
    counts: Mapping[AspectKey, Counts] = field(default_factory=dict)
    """By aspect, counts by bin, int64 [bins of the aspect]."""

    def plus(self, other: Profile) -> Profile:
        """Add another one in the same bins; exact, and in any order. Raises ValueError for other bins."""
        if self.reference != other.reference:
            raise ValueError("profiles in the bins of different references do not add up")
        counts = dict(self.counts)
        for key, more in other.counts.items():
            known = counts.get(key)
            counts[key] = more if known is None else known + more
        return Profile(
            self.reference, self.rows + other.rows, self.seen_rows + other.seen_rows, counts
        )
