"""The nouns of telemetry: what a version did, and a replica's report of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from headrace.data_profiles.layouts import Layout
from headrace.data_profiles.profiles import Profile, ProfileKey
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.encoding import Values
from headrace_monitor.domain.telemetry.exemplar import Exemplar
from headrace_monitor.domain.telemetry.prediction import NONE_TOLD, ToldPredictions
from headrace_monitor.domain.telemetry.row_example import RowExample
from headrace_monitor.domain.telemetry.tally import Tally

NANOSECONDS = 1_000_000_000
USUAL_BYTES = 4096
"""Of an encoded tally, at most, where four histograms have some hundred buckets each."""
PROFILED_ASPECTS = 2
"""Aspects of a profile in bins of floats' bits, which take as much memory as a version."""


class Series(NamedTuple):
    """One version of a model on one replica."""

    model: str
    version: int
    replica: str


@dataclass(frozen=True, slots=True)
class VersionTelemetry:
    """The tally of one version in a report's interval; version 0 is for requests that reached none."""

    model: str
    version: int
    encoded: bytes
    """The tally, encoded: most of them are stored and added up as they are."""
    values: Values
    """The values in it but for the buckets."""

    @classmethod
    def of(cls, model: str, version: int, tally: Tally) -> VersionTelemetry:
        """Make one of a tally."""
        encoded = encoding.encode(tally)
        return cls(model, version, encoded, encoding.values_of(encoded))

    @property
    def tally(self) -> Tally:
        """Decode the tally."""
        return encoding.decode(self.encoded)


@dataclass(frozen=True, slots=True)
class VersionProfile:
    """What sampled rows of a version, or of a slice of it, looked like; in the bins of the layout."""

    key: ProfileKey
    layout: Layout
    profile: Profile


@dataclass(frozen=True, slots=True)
class Report:
    """The tallies of a replica in an interval of its session `boot_id`; times are ns since 1970."""

    replica: str
    boot_id: str
    sequence: int
    start_ns: int
    end_ns: int
    versions: tuple[VersionTelemetry, ...] = ()
    dropped_reports: int = 0
    last: bool = False
    """True for the last report of a process, which counts no more."""
    sent_ns: int = 0
    """When it was sent, by the replica's clock; 0 where it does not say."""
    profiles: tuple[VersionProfile, ...] = ()
    told: ToldPredictions = NONE_TOLD
    """Answers to a sample of the requests that have an id."""
    examples: tuple[RowExample, ...] = ()
    """Some rows of those."""
    exemplars: tuple[Exemplar, ...] = ()
    """Some traced requests."""

    @property
    def weight(self) -> int:
        """Its memory in versions of up to USUAL_BYTES; at least one."""
        profiles = sum(1 + len(each.profile.counts) // PROFILED_ASPECTS for each in self.profiles)
        versions = sum(-(-len(each.encoded) // USUAL_BYTES) for each in self.versions)
        return max(1, profiles + versions)
