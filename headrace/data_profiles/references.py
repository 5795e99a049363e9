"""References: how a version's data looked when all was well, as a sample, and what was learnt from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from headrace.data_profiles.layouts import Layout
from headrace.data_profiles.profiles import Profile


class Source(StrEnum):
    """Where a reference comes from."""

    SAMPLES = "samples"
    """Rows that were given at the push, or later."""
    TRAFFIC = "traffic"
    """The first rows that the version was asked for, or those of another stretch of time."""
    VERSION = "version"
    """The reference of another version."""


class Enforcement(StrEnum):
    """What is done at the door with a row whose field is not as the schema has it."""

    COUNT = "count"
    """It is counted."""
    FLAG = "flag"
    """It is counted, and its answer says so."""
    REJECT = "reject"
    """The request is refused, by the field's name and what is allowed."""


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """What was learnt of a field: each bound holds where it is there."""

    lowest: float | None = None
    highest: float | None = None
    categories: tuple[str, ...] | None = None
    missing_rate: float = 0.0
    """The share of rows in which it was missing."""
    enforcement: Enforcement = Enforcement.COUNT


@dataclass(frozen=True, slots=True)
class Reference:
    """A sample of rows in the bins that were made of it. `profile.rows` is how many there were."""

    source: Source
    layout: Layout
    profile: Profile
    schema: Mapping[str, FieldSchema] = field(default_factory=dict)
    """By field."""
    created_at: float = 0.0
    """Seconds since the Unix epoch."""
    origin: str = ""
    """The file, the stretch of time or the version that it is of, for people."""
