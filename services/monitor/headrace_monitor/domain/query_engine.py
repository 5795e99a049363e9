"""Questions about a stretch of time, and their answers from the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from headrace import errors
from headrace_monitor.domain import encoding, gaps, time_ranges
from headrace_monitor.domain.gaps import Gap, Reason
from headrace_monitor.domain.ledger import Ledger
from headrace_monitor.domain.moments import Clock, Moment
from headrace_monitor.domain.replica_sessions import LifeKey, ReplicaSession
from headrace_monitor.domain.telemetry import NANOSECONDS, Series, Tally
from headrace_monitor.domain.threads import Result, run_in
from headrace_monitor.domain.time_ranges import Span
from headrace_monitor.domain.totals import OTHER

DEFAULT_WINDOW_NS = 60 * NANOSECONDS


@dataclass(frozen=True, slots=True)
class Query:
    """Which statistics: '' is every model, 0 every version; `end_ns` 0, or one to come, is the present."""

    model: str = ""
    version: int = 0
    window_ns: int = DEFAULT_WINDOW_NS
    end_ns: int = 0
    by_replica: bool = False

    def matches(self, series: Series) -> bool:
        """Whether the query asks for this series."""
        return self.model in ("", series.model) and self.version in (0, series.version)

    def group(self, series: Series) -> Series:
        """Whose numbers this series' are added to."""
        return series if self.by_replica else series._replace(replica="")


@dataclass(frozen=True, slots=True)
class VersionStatistics:
    """What one version did in a span; `series.replica` is '' for all replicas together."""

    series: Series
    tally: Tally
    requests_per_second: float


@dataclass(frozen=True, slots=True)
class ReplicaStatistics:
    """A replica's present life: when its newest report ended, how many it had to drop, how its clock is."""

    replica: str
    last_report_ns: int
    dropped_reports: int
    clock_ahead_ns: int = 0


@dataclass(frozen=True, slots=True)
class Statistics:
    """What happened in a span."""

    span: Span
    versions: tuple[VersionStatistics, ...]
    replicas: tuple[ReplicaStatistics, ...]
    gaps: tuple[Gap, ...] = ()
    """What the counts do not cover."""


class QueryEngine:
    """Answers questions from a ledger; `thread` adds up, so that a long window holds up nobody else."""

    def __init__(self, ledger: Ledger, clock: Clock, thread: Executor | None = None) -> None:
        self._ledger = ledger
        self._clock = clock
        self._thread = thread

    async def statistics(self, query: Query) -> Statistics:
        """What happened in the query's window. Raises InvalidArgument (INVALID_QUERY)."""
        moment, start_ns, end_ns = self._times(query)
        now_ns, kept = moment.now_ns, self._ledger.windows.resolutions
        resolution = time_ranges.for_window(kept, start_ns, end_ns, now_ns)
        span = time_ranges.span_of(resolution, start_ns, end_ns, now_ns)
        return (await self.aside(lambda: self._answers(query, [span], moment)))[0]

    async def series(self, query: Query, step_ns: int = 0) -> list[Statistics]:
        """How it went in steps, oldest first. Raises InvalidArgument (INVALID_QUERY)."""
        moment, start_ns, end_ns = self._times(query)
        if step_ns > query.window_ns:
            raise _invalid("step", "must be at most as long as the window")
        kept = self._ledger.windows.resolutions
        steps = time_ranges.steps_of(kept, start_ns, end_ns, step_ns, moment.now_ns)
        return await self.aside(lambda: self._answers(query, steps, moment))

    async def aside(self, work: Callable[[], Result]) -> Result:
        """What `work` gives, done in the thread of the questions: it writes long answers too."""
        return await run_in(self._thread, work)

    def _times(self, query: Query) -> tuple[Moment, int, int]:
        moment = self._clock()
        kept_seconds = self._ledger.windows.resolutions[-1].kept_seconds
        if query.window_ns > kept_seconds * NANOSECONDS:
            raise _invalid("window", f"must be at most {kept_seconds} s: more is not kept")
        end_ns = min(query.end_ns or moment.now_ns, moment.now_ns)
        return moment, end_ns - query.window_ns, end_ns

    def _answers(self, query: Query, steps: list[Span], moment: Moment) -> list[Statistics]:
        cells, folded = _cells(self._ledger, query, steps)
        lives = dict(self._ledger.lives)
        known = [*gaps.gaps_of_lives(lives, moment), *folded]
        if floor := self._ledger.windows.floors[steps[0].resolution]:
            known.append(Gap(Reason.TRIMMED, 0, floor * NANOSECONDS))
        return _add_up(cells, _by_replica(lives), steps, known)


Cells = dict[int, dict[Series, list[bytes]]]
"""By the number of a step, whose numbers, and the packed tallies that they add up from."""


def _cells(ledger: Ledger, query: Query, steps: list[Span]) -> tuple[Cells, list[Gap]]:
    """What the query asks for, and where versions are folded.

    The steps follow one another, and all but the last are as long.
    """
    resolution, first, last = steps[0].resolution, steps[0].first, steps[-1].last
    length = steps[0].last + resolution - first
    cells: Cells = defaultdict(lambda: defaultdict(list))
    folded: set[int] = set()
    for start, series, packed in ledger.windows.between(resolution, first, last):
        step = (start - first) // length
        if series.model == OTHER.model:
            folded.add(step)
        if query.matches(series):
            cells[step][query.group(series)].append(packed)
    return cells, [
        Gap(Reason.VERSIONS_FOLDED, steps[step].start_ns, steps[step].end_ns) for step in folded
    ]


def _by_replica(lives: Mapping[LifeKey, ReplicaSession]) -> dict[str, list[ReplicaSession]]:
    by_replica: dict[str, list[ReplicaSession]] = defaultdict(list)
    for key, life in lives.items():
        by_replica[key.replica].append(life)
    return by_replica


def _add_up(
    cells: Cells, lives: dict[str, list[ReplicaSession]], steps: list[Span], known: list[Gap]
) -> list[Statistics]:
    return [
        Statistics(
            span,
            _versions(cells.get(index, {}), span.seconds),
            _replicas(lives, span),
            _gaps(known, span),
        )
        for index, span in enumerate(steps)
    ]


def _gaps(known: Iterable[Gap], span: Span) -> tuple[Gap, ...]:
    """Those that take something from the span; what was trimmed, as far as it does."""
    return tuple(
        replace(gap, start_ns=span.start_ns, end_ns=min(gap.end_ns, span.end_ns))
        if gap.reason is Reason.TRIMMED
        else gap
        for gap in known
        if gap.belongs_to(span.start_ns, span.end_ns)
    )


def _versions(cells: dict[Series, list[bytes]], seconds: float) -> tuple[VersionStatistics, ...]:
    tallies = [(series, encoding.unpack_sum(cells[series])) for series in sorted(cells)]
    return tuple(
        VersionStatistics(series, tally, tally.request_count / seconds) for series, tally in tallies
    )


def _replicas(lives: dict[str, list[ReplicaSession]], span: Span) -> tuple[ReplicaStatistics, ...]:
    present = {
        replica: max(of_replica, key=lambda life: life.last_end_ns)
        for replica, of_replica in lives.items()
        if any(_reported_in(life, span) for life in of_replica)
    }
    return tuple(
        ReplicaStatistics(replica, life.last_end_ns, life.dropped_reports, life.clock_ahead_ns)
        for replica, life in sorted(present.items())
    )


def _reported_in(life: ReplicaSession, span: Span) -> bool:
    return life.first_end_ns <= span.end_ns and life.last_end_ns > span.start_ns


def _invalid(field: str, description: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "INVALID_QUERY",
        f"{field} {description}",
        violations=(errors.FieldViolation(field, description),),
    )
