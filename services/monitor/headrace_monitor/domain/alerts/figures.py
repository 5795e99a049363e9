"""What rules look at, by Protocols: service figures, and what is known of data, quality and versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from headrace_monitor.domain.drift.findings import Finding
from headrace_monitor.domain.drift.pace import Slowdown


class SliceCounts(NamedTuple):
    """What a version did for the requests of a slice."""

    requests: int
    errors: Mapping[str, int]


def no_slices() -> Mapping[str, SliceCounts]:
    """None are told apart."""
    return {}


class ServiceCounts(NamedTuple):
    """What a version did in a window."""

    requests: int
    errors: Mapping[str, int]
    """By reason."""
    share_within: Callable[[float], float]
    """The share of well answered requests that took at most so many seconds."""
    quantile: Callable[[float], float]
    """The latency in seconds that a share of them stayed at or below."""
    slices: Callable[[], Mapping[str, SliceCounts]] = no_slices
    """By slice, where replicas tell those apart."""


@dataclass(frozen=True, slots=True)
class ServiceWindow:
    """What all versions did in a window, and what that does not cover."""

    versions: Mapping[tuple[str, int], ServiceCounts]
    seconds: float
    incomplete: tuple[str, ...] = ()
    """In words."""
    is_whole: bool = True
    """False where counts of replicas are missing: what is not there may just not be seen."""


class ServiceFigures(Protocol):
    """Tells what versions did."""

    async def during(
        self, seconds: float, is_wanted: Callable[[str], bool], end_ns: int = 0
    ) -> ServiceWindow:
        """The counts of the models that are wanted, of so many seconds up to a time, or now."""


class ReplicaGap(NamedTuple):
    """Counts of a replica that are missing."""

    replica: str
    reason: str
    """lost, silent, missing."""
    start_ns: int
    end_ns: int
    reports: int = 0
    age_seconds: float = 0.0
    """How long ago it ended, or was noticed."""


class ReplicaGaps(Protocol):
    """Tells which counts of replicas are missing."""

    def gaps(self) -> Sequence[ReplicaGap]:
        """All that are remembered."""


class OpenFindings(Protocol):
    """Tells what is off about fields now."""

    def open_findings(self) -> Sequence[Finding] | None:
        """All findings that are open; None while that cannot be told."""


class WatchedFigure(NamedTuple):
    """How good a version's answers are, by one measure, in a slice."""

    model: str
    version: int
    slice: str
    measure: str
    value: float
    low: float
    high: float
    """The interval in which the true value is."""
    labels: int
    reference: float | None = None
    request_ids: tuple[str, ...] = ()


class QualitySource(Protocol):
    """Tells how good answers are."""

    async def figures(self) -> Sequence[WatchedFigure] | None:
        """Those of the present; None while that cannot be told."""


class SlowerVersion(NamedTuple):
    """A version that takes longer than it did, by the quantile that grew most."""

    model: str
    version: int
    quantile: float
    slowdown: Slowdown


class PaceSource(Protocol):
    """Tells which versions take longer than they did."""

    async def slower(self) -> Sequence[SlowerVersion] | None:
        """All of them; None while that cannot be told."""


class UnreadyVersion(NamedTuple):
    """A version that should serve, and is not ready on some replicas."""

    model: str
    version: int
    state: str
    replicas: tuple[str, ...]
    message: str = ""


class VersionStates(Protocol):
    """Tells which versions should serve and do not."""

    def unready(self) -> Sequence[UnreadyVersion] | None:
        """All of them; None while the catalog is not known."""


class Unknown:
    """Tells nothing: what stands for a part that is not there."""

    def gaps(self) -> Sequence[ReplicaGap]:
        """None are known."""
        return ()

    def open_findings(self) -> Sequence[Finding] | None:
        """It cannot be told."""
        return None

    async def figures(self) -> Sequence[WatchedFigure] | None:
        """It cannot be told."""
        return None

    async def slower(self) -> Sequence[SlowerVersion] | None:
        """It cannot be told."""
        return None

    def unready(self) -> Sequence[UnreadyVersion] | None:
        """It cannot be told."""
        return None


@dataclass(frozen=True, slots=True)
class Sources:
    """All that rules look at."""

    service: ServiceFigures
    gaps: ReplicaGaps = Unknown()
    drift: OpenFindings = Unknown()
    quality: QualitySource = Unknown()
    versions: VersionStates = Unknown()
    paces: PaceSource = Unknown()
