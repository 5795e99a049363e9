"""What the client hands out of profiles of data."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.client.resources import Gap


@dataclass(frozen=True, slots=True)
class ProfiledAspect:
    """How one aspect of one field was spread over its bins."""

    field: str
    """`input x`, `output label`, `length prompt`."""
    aspect: str
    """value, length, confidence, ..."""
    missing: int
    infinite: int
    limits: tuple[float, ...]
    """Of numbers: the limits between `counts`, infinite at both ends; none of labels."""
    labels: tuple[str, ...]
    """Of others: one for each of `counts` but the last, which has all others."""
    counts: tuple[int, ...]
    """Of what is neither missing nor infinite, by bin."""


@dataclass(frozen=True, slots=True)
class ProfiledRows:
    """What some rows looked like."""

    rows: int
    """The rows that were looked at."""
    seen_rows: int
    """The rows that there were, of which those are a sample."""
    aspects: tuple[ProfiledAspect, ...]


@dataclass(frozen=True, slots=True)
class ProfiledStep:
    """The rows of some time."""

    start_at: float
    end_at: float
    rows: ProfiledRows


@dataclass(frozen=True, slots=True)
class BinnedProfiles:
    """Rows in the bins of one reference, or of floats' bits."""

    reference: str
    """The digest of the reference; '' for bins of the floats' bits."""
    total: ProfiledRows
    steps: tuple[ProfiledStep, ...] = ()


@dataclass(frozen=True, slots=True)
class DataProfiles:
    """What the rows of a version, or of a slice of it, looked like."""

    profiles: tuple[BinnedProfiles, ...]
    """The newest first; several where a reference came within the window."""
    slices: tuple[str, ...]
    """All that there are profiles of."""
    start_at: float
    """Where what is covered begins, seconds since the epoch; 0 where nothing is."""
    end_at: float
    gaps: tuple[Gap, ...] = ()
    """Of the reports of replicas: what the profiles may not cover."""
