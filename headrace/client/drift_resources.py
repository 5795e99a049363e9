"""What the client hands out of drift."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DriftEffects:
    """How far rows are from a reference; all are 0 where they are alike."""

    psi: float
    """The population stability index, over 10 groups."""
    jensen_shannon: float
    """From 0 to 1."""
    ks: float
    """The largest difference of cumulated shares; of labels all that moved."""
    wasserstein: float | None
    """How far values moved, in standard deviations of the reference; None of labels."""


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """Something that is off about a field."""

    field: str
    aspect: str
    concern: str
    """distribution, missing, infinite, out_of_range or new_category."""
    change: str
    """What changed: `mean 3.1 → 4`, `missing 0 % → 12 %`."""
    since: float
    """Seconds since the epoch: when it began, as near as the evidence tells."""
    found_at: float
    closed_at: float | None
    """When it was over; None while it is not."""
    rows: int
    """The rows that the effects are of."""
    evidence: float
    """A logarithm: more is surer."""
    effects: DriftEffects


@dataclass(frozen=True, slots=True)
class Distributions:
    """A reference and the newest rows, by group: missing, infinite, then values.

    Of numbers follow what is below the first of `limits`, a group for each pair of them, and what is above
    the last; of others a group for each of `labels`, and all others.
    """

    limits: tuple[float, ...]
    labels: tuple[str, ...]
    reference: tuple[int, ...]
    current: tuple[int, ...]
    current_start_at: float


@dataclass(frozen=True, slots=True)
class DriftExample:
    """A row of a request whose value is among those that grew most frequent."""

    request_id: str
    row: int
    at: float
    """Seconds since the epoch."""
    value: str
    """The value, or what its bin says."""
    slices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FieldDrift:
    """How one aspect of one field stands."""

    field: str
    aspect: str
    findings: tuple[DriftFinding, ...]
    """What is off now; none while all is well."""
    effects: DriftEffects
    """Of the newest rows."""
    evidence_share: float
    """Of its furthest test: at 1 it becomes a finding."""
    rows: int
    reference_rows: int
    change: str
    """What differs most now, whether it is a finding or not."""
    stretches: int
    """Of numbers, into how many the reference's values fall: of few, small changes are not seen."""
    distributions: Distributions | None = None
    examples: tuple[DriftExample, ...] = ()
    """Rows that show what is off, the newest first; where distributions are."""


@dataclass(frozen=True, slots=True)
class SliceCause:
    """The slices in which a field is off, and those in which it is not; '' is that of all rows."""

    field: str
    moved: tuple[str, ...]
    unmoved: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionDrift:
    """How the fields of one version, or of a slice of it, stand."""

    model: str
    version: int
    slice: str
    source: str
    """registered, first_rows or other_version; '' while there is nothing to compare with."""
    origin: str
    compared_rows: int
    learnt_rows: int
    """The first rows so far, while they do not suffice yet."""
    fields: tuple[FieldDrift, ...]
    """Those that are off come first, the worst first."""
    slices: tuple[str, ...]
    causes: tuple[SliceCause, ...]
    closed: tuple[DriftFinding, ...]
    untested: bool
    """There is no memory to compare it."""
    left_out_fields: int = 0
    """Fields that are not told: an answer has 2,048 at most."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How the versions of a model stand."""

    versions: tuple[VersionDrift, ...]
    alpha: float
    """The false alarms a day that each version may give."""
    margin: float
    """By how much a share may change."""
