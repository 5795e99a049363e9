"""The nouns of telemetry: what a version did, and a replica's report of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from headrace.histogram import MAX_COUNT, Histogram

NANOSECONDS = 1_000_000_000

Key = TypeVar("Key", str, int)


class Series(NamedTuple):
    """One version of a model on one replica."""

    model: str
    version: int
    replica: str


@dataclass(slots=True)
class Tally:
    """Counts of what was done; two of them add up to what both did.

    No count grows beyond MAX_COUNT: whatever is reported, sums can be stored, sent and read.
    """

    success_count: int = 0
    row_count: int = 0
    execution_count: int = 0
    error_counts: dict[str, int] = field(default_factory=dict)
    route_counts: dict[str, int] = field(default_factory=dict)
    batch_counts: dict[int, int] = field(default_factory=dict)
    total: Histogram = field(default_factory=Histogram)
    queue: Histogram = field(default_factory=Histogram)
    compute: Histogram = field(default_factory=Histogram)
    failed: Histogram = field(default_factory=Histogram)
    """Of requests answered with an error, from their reception to that."""

    @property
    def error_count(self) -> int:
        """Requests answered with an error, whatever its reason."""
        return saturated(sum(self.error_counts.values()))

    @property
    def request_count(self) -> int:
        """Requests answered, well or not."""
        return saturated(self.success_count + self.error_count)

    def plus(self, other: Tally) -> Tally:
        """A new tally of what both counted; neither is changed, so whoever reads one reads it whole."""
        total = replace(
            self,
            error_counts=dict(self.error_counts),
            route_counts=dict(self.route_counts),
            batch_counts=dict(self.batch_counts),
            total=self.total.copy(),
            queue=self.queue.copy(),
            compute=self.compute.copy(),
            failed=self.failed.copy(),
        )
        total.add(other)
        return total

    def add(self, other: Tally) -> None:
        """Add what `other` counted."""
        self.success_count = saturated(self.success_count + other.success_count)
        self.row_count = saturated(self.row_count + other.row_count)
        self.execution_count = saturated(self.execution_count + other.execution_count)
        add_counts(self.error_counts, other.error_counts)
        add_counts(self.route_counts, other.route_counts)
        add_counts(self.batch_counts, other.batch_counts)
        self.total.merge(other.total)
        self.queue.merge(other.queue)
        self.compute.merge(other.compute)
        self.failed.merge(other.failed)


def add_counts(counts: dict[Key, int], more: Mapping[Key, int]) -> None:
    """Add `more` to `counts`, key by key."""
    for key, count in more.items():
        counts[key] = saturated(counts.get(key, 0) + count)


def saturated(count: int) -> int:
    """`count`, or where it is larger MAX_COUNT."""
    return min(count, MAX_COUNT)


@dataclass(frozen=True, slots=True)
class VersionTelemetry:
    """The tally of one version in a report's interval; version 0 is for requests that reached none."""

    model: str
    version: int
    tally: Tally


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
