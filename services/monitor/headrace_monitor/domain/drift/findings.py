"""The nouns of drift: what is off in which field, how much, and since when."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from headrace.data_profiles.profiles import ProfileKey


class Concern(StrEnum):
    """What is off about a field."""

    DISTRIBUTION = "distribution"
    """Its values are spread otherwise than the reference's."""
    MISSING = "missing"
    """More or fewer values are missing."""
    INFINITE = "infinite"
    """More or fewer values are infinite."""
    OUT_OF_RANGE = "out_of_range"
    """More values are below or above all of the reference."""
    NEW_CATEGORY = "new_category"
    """More values are none of the reference's categories."""


class ReferenceSource(StrEnum):
    """Where the rows come from that others are compared with."""

    REGISTERED = "registered"
    """The reference that the registry keeps with the version."""
    FIRST_ROWS = "first_rows"
    """The first rows of the version, or of the slice."""
    OTHER_VERSION = "other_version"
    """The first rows of an older version of the model, while this one has none of its own."""


@dataclass(frozen=True, slots=True)
class Effects:
    """How far rows are from the reference. Each is 0 where they are alike."""

    psi: float = 0.0
    """The population stability index, over 10 groups of bins; 0.1 is said to be little, 0.25 much."""
    jensen_shannon: float = 0.0
    """The Jensen-Shannon distance to the base 2, from 0 to 1."""
    ks: float = 0.0
    """The largest difference of the cumulated shares (of categories: all that moved), from 0 to 1."""
    wasserstein: float | None = None
    """How far values moved, in standard deviations of the reference; None of categories."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One field of one version (or slice) that is not as its reference; open until it is closed."""

    key: ProfileKey
    field: str
    aspect: str
    concern: Concern
    change: str
    """What changed, for people: `mean 3.1 → 4.0`, `missing 0 % → 12 %`."""
    since_ns: int
    """When it began, as near as the evidence tells, by the monitor's clock."""
    found_ns: int
    """When the evidence sufficed."""
    closed_ns: int | None = None
    """When the rows were again as the reference; None while it is open."""
    rows: int = 0
    """The rows that `effects` are of, the newest ones."""
    evidence: float = 0.0
    """The logarithm of how much likelier these rows are than with the nearest shares that count as the
    reference's. What made it a finding were bets, at a wealth of about e^20."""
    effects: Effects = Effects()
    source: ReferenceSource = ReferenceSource.FIRST_ROWS
    request_ids: tuple[str, ...] = ()
    """Requests that show it, the newest first, where callers give ids."""

    @property
    def is_open(self) -> bool:
        """It has not been closed."""
        return self.closed_ns is None


@dataclass(frozen=True, slots=True)
class SliceCause:
    """In which slices a field of a version moved, and in which it did not."""

    field: str
    moved: Sequence[str]
    """Slices with an open finding; "" is that of all rows."""
    unmoved: Sequence[str]


class DriftFindings(Protocol):
    """Answers what is off now; alerts and metrics ask. Called in any thread."""

    def open_findings(self) -> Sequence[Finding]:
        """All that are open, of all versions and slices, worst first in each version."""

    def slice_causes(self, model: str, version: int) -> Collection[SliceCause]:
        """For each field with an open finding, the slices that moved and those that did not."""
