"""Answers questions about a time range from the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import chain

from headrace import errors
from headrace_monitor.domain.clock import Clock, Moment
from headrace_monitor.domain.ledger.ledger import Ledger
from headrace_monitor.domain.ledger.totals import OTHER
from headrace_monitor.domain.ledger.windows import Windows
from headrace_monitor.domain.queries import time_ranges
from headrace_monitor.domain.queries.parts import PartFigures, parts_of
from headrace_monitor.domain.queries.time_ranges import TimeRange
from headrace_monitor.domain.queries.window_sums import MAX_WINDOWS, WindowSums
from headrace_monitor.domain.replicas import coverage, gaps
from headrace_monitor.domain.replicas.coverage import Stretch
from headrace_monitor.domain.replicas.gaps import Gap, Reason
from headrace_monitor.domain.replicas.replica_sessions import ReplicaSession, SessionKey
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Series
from headrace_monitor.domain.telemetry.tally import Tally
from headrace_monitor.domain.threads import Result, run_in

DEFAULT_WINDOW_NS = 60 * NANOSECONDS


@dataclass(frozen=True, slots=True)
class Query:
    """A question: '' is every model, 0 every version; `end_ns` 0, or one to come, is the present."""

    model: str = ""
    version: int = 0
    window_ns: int = DEFAULT_WINDOW_NS
    end_ns: int = 0
    by_replica: bool = False
    is_seen: Callable[[str], bool] | None = None
    """Tells the models that the caller may see; None: all."""
    parts_by: tuple[str, ...] = ()
    """The labels by which parts of the requests are told apart."""
    step_seconds: int = 0
    """The window may begin so much earlier or later: coarser resolutions, of less to add up, will do."""

    def matches(self, series: Series) -> bool:
        """True where the query asks for this series, and its caller may see it."""
        return (
            self.model in ("", series.model)
            and self.version in (0, series.version)
            and (self.is_seen is None or self.is_seen(series.model))
        )

    def group(self, series: Series) -> Series:
        """The series to which this one is added."""
        return series if self.by_replica else series._replace(replica="")


@dataclass(frozen=True, slots=True)
class VersionStatistics:
    """The tally of one version in a time range; `series.replica` is '' for all replicas together."""

    series: Series
    tally: Tally
    requests_per_second: float
    """Over the time that is covered."""
    parts: tuple[PartFigures, ...] = ()
    """Of parts of the requests, where the question asks for them."""


@dataclass(frozen=True, slots=True)
class ReplicaStatistics:
    """A replica's present session: when its newest report ended, how many it dropped, how its clock is."""

    replica: str
    last_report_ns: int
    dropped_reports: int
    clock_ahead_ns: int = 0


@dataclass(frozen=True, slots=True)
class Statistics:
    """The statistics of a time range."""

    time_range: TimeRange
    versions: tuple[VersionStatistics, ...]
    replicas: tuple[ReplicaStatistics, ...]
    gaps: tuple[Gap, ...] = ()
    """Parts of the time range that the counts do not cover."""
    covered: tuple[Stretch, ...] = ()
    """Parts of the time range of which reports tell."""

    @property
    def rate_seconds(self) -> float:
        """The time that counts are divided by, to get rates: what is covered of the time range."""
        return coverage.rate_seconds(self.covered, self.time_range.seconds)

    def with_gaps(self, more: Iterable[Gap]) -> Statistics:
        """The same with more gaps."""
        return replace(self, gaps=(*self.gaps, *more))

    def seen_by(self, query: Query) -> Statistics:
        """The same without what the question is not about."""
        versions = tuple(each for each in self.versions if query.matches(each.series))
        return replace(self, versions=versions)

    def with_versions(
        self, tallies: Mapping[Series, Tally], of_replicas: Mapping[str, float] | None = None
    ) -> Statistics:
        """The same with these tallies; a replica's own rates are over what it covers, if that is given."""
        seconds, own = self.rate_seconds, of_replicas or {}
        versions = tuple(
            VersionStatistics(series, tally, tally.request_count / own.get(series.replica, seconds))
            for series, tally in sorted(tallies.items(), key=lambda item: item[0])
        )
        return replace(self, versions=versions)


class QueryEngine:
    """Answers questions from a ledger; `thread` adds up, so that a long window holds up nobody else."""

    def __init__(self, ledger: Ledger, clock: Clock, thread: Executor | None = None) -> None:
        self._ledger = ledger
        self._sums = WindowSums(ledger.windows)
        self._clock = clock
        self._thread = thread

    async def statistics(self, query: Query) -> Statistics:
        """Give the statistics of the query's window. Raises InvalidArgument (INVALID_QUERY)."""
        moment, start_ns, end_ns = self._times(query)
        now_ns, kept = moment.now_ns, self._ledger.windows.resolutions
        kept = tuple(each for each in kept if each.seconds >= query.step_seconds) or kept
        floors = self._ledger.windows.floors
        resolution = time_ranges.for_window(kept, start_ns, end_ns, now_ns, floors)
        time_range = time_ranges.time_range_of(resolution, start_ns, end_ns, now_ns)
        return (await self._answered(query, [time_range], moment))[0]

    async def series(self, query: Query, step_ns: int = 0) -> list[Statistics]:
        """Give the statistics of each step, oldest first. Raises InvalidArgument (INVALID_QUERY)."""
        moment, start_ns, end_ns = self._times(query)
        if step_ns > query.window_ns:
            raise _invalid("step", "must be at most as long as the window")
        kept = self._ledger.windows.resolutions
        floors = self._ledger.windows.floors
        steps = time_ranges.steps_of(kept, start_ns, end_ns, step_ns, moment.now_ns, floors)
        return await self._answered(query, steps, moment)

    async def own(self, query: Query, steps: list[TimeRange]) -> list[Statistics]:
        """Give what this monitor was told of these steps. Raises InvalidArgument (INVALID_QUERY)."""
        if steps[0].resolution not in self._ledger.windows.floors:
            raise _invalid(
                "stretches", f"are of windows that are not kept: {steps[0].resolution} s"
            )
        return await self.run_in_thread(lambda: self._answers(query, steps, self._clock()))

    async def _answered(
        self, query: Query, steps: list[TimeRange], moment: Moment
    ) -> list[Statistics]:
        return await self.run_in_thread(lambda: self._answers(query, steps, moment))

    async def run_in_thread(self, work: Callable[[], Result]) -> Result:
        """Run `work` in the thread of the questions: it writes long answers too."""
        return await run_in(self._thread, work)

    def _times(self, query: Query) -> tuple[Moment, int, int]:
        moment = self._clock()
        kept_seconds = self._ledger.windows.resolutions[-1].kept_seconds
        if query.window_ns > kept_seconds * NANOSECONDS:
            raise _invalid("window", f"must be at most {kept_seconds} s: more is not kept")
        end_ns = min(query.end_ns or moment.now_ns, moment.now_ns)
        return moment, end_ns - query.window_ns, end_ns

    def _answers(self, query: Query, steps: list[TimeRange], moment: Moment) -> list[Statistics]:
        cells, folded = _cells(self._ledger.windows, self._sums, query, steps)
        sessions = dict(self._ledger.sessions)
        known = [*gaps.gaps_of_sessions(sessions, moment), *folded]
        floor_ns = self._ledger.windows.floors[steps[0].resolution] * NANOSECONDS
        if floor_ns:
            known.append(Gap(Reason.TRIMMED, 0, floor_ns))
        answers = _add_up(cells, _Reporting(sessions, floor_ns), steps, known)
        return (
            [_with_parts(each, query.parts_by) for each in answers] if query.parts_by else answers
        )


Cells = dict[int, dict[Series, list[bytes]]]
"""By the number of a step, whose numbers, and the encoded tallies that they add up from."""


def _cells(
    windows: Windows, sums: WindowSums, query: Query, steps: list[TimeRange]
) -> tuple[Cells, list[Gap]]:
    """Collect the cells that the query asks for, and find where versions are folded.

    The steps follow one another, and all but the last are as long.
    """
    resolution, first, last = steps[0].resolution, steps[0].first, steps[-1].last
    length = steps[0].last + resolution - first
    cells: Cells = defaultdict(lambda: defaultdict(list))
    folded: set[int] = set()
    wanted = range(first, last + 1, resolution)
    is_usual = not query.by_replica and not query.model and len(wanted) <= MAX_WINDOWS
    found = sums.between(wanted) if is_usual else windows.between(resolution, first, last)
    for start, series, encoded in found:
        step = (start - first) // length
        if series.model == OTHER.model:
            folded.add(step)
        if query.matches(series):
            cells[step][query.group(series)].append(encoded)
    return cells, [
        Gap(Reason.VERSIONS_FOLDED, steps[step].start_ns, steps[step].end_ns) for step in folded
    ]


class _Reporting:
    """The sessions of an answer: which replicas reported when, and what time they cover."""

    def __init__(self, sessions: Mapping[SessionKey, ReplicaSession], floor_ns: int) -> None:
        self._floor_ns = floor_ns
        self._by_replica: dict[str, list[ReplicaSession]] = defaultdict(list)
        for key, session in sessions.items():
            self._by_replica[key.replica].append(session)
        self._covered = {name: coverage.covered(own) for name, own in self._by_replica.items()}
        self._covered_by_any = coverage.joined(chain.from_iterable(self._covered.values()))

    def covered(self, time_range: TimeRange) -> tuple[Stretch, ...]:
        """The parts of a time range of which some replica's reports tell, and are all there."""
        start_ns = max(time_range.start_ns, self._floor_ns)
        return coverage.within(self._covered_by_any, start_ns, time_range.end_ns)

    def rate_seconds(self, replica: str, time_range: TimeRange) -> float:
        """The time of a time range to divide a replica's counts by."""
        own = self._covered.get(replica, [])
        start_ns = max(time_range.start_ns, self._floor_ns)
        within = coverage.within(own, start_ns, time_range.end_ns)
        return coverage.rate_seconds(within, time_range.seconds)

    def replicas(self, time_range: TimeRange) -> tuple[ReplicaStatistics, ...]:
        """The replicas that reported in a time range."""
        present = {
            replica: max(sessions, key=lambda session: session.last_end_ns)
            for replica, sessions in self._by_replica.items()
            if any(_reported_in(session, time_range) for session in sessions)
        }
        return tuple(
            ReplicaStatistics(
                replica, session.last_end_ns, session.dropped_reports, session.clock_ahead_ns
            )
            for replica, session in sorted(present.items())
        )


def _add_up(
    cells: Cells, reporting: _Reporting, steps: list[TimeRange], known: list[Gap]
) -> list[Statistics]:
    return [
        _statistics(cells.get(index, {}), reporting, time_range, known)
        for index, time_range in enumerate(steps)
    ]


def _with_parts(statistics: Statistics, labels: Collection[str]) -> Statistics:
    versions = tuple(
        replace(each, parts=tuple(parts_of(each.tally, labels))) for each in statistics.versions
    )
    return replace(statistics, versions=versions)


def _statistics(
    cells: dict[Series, list[bytes]],
    reporting: _Reporting,
    time_range: TimeRange,
    known: list[Gap],
) -> Statistics:
    replicas, covered = reporting.replicas(time_range), reporting.covered(time_range)
    whole = Statistics(time_range, (), replicas, _gaps(known, time_range), covered)
    own = {series.replica for series in cells} - {""}
    return whole.with_versions(
        {series: encoding.decode_sum(parts) for series, parts in cells.items()},
        {replica: reporting.rate_seconds(replica, time_range) for replica in own},
    )


def _gaps(known: Iterable[Gap], time_range: TimeRange) -> tuple[Gap, ...]:
    """Select those that overlap with the time range; what was trimmed is cut to it."""
    return tuple(
        replace(gap, start_ns=time_range.start_ns, end_ns=min(gap.end_ns, time_range.end_ns))
        if gap.reason is Reason.TRIMMED
        else gap
        for gap in known
        if gap.belongs_to(time_range.start_ns, time_range.end_ns)
    )


def _reported_in(session: ReplicaSession, time_range: TimeRange) -> bool:
    return session.first_end_ns <= time_range.end_ns and session.last_end_ns > time_range.start_ns


def _invalid(field: str, description: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "INVALID_QUERY",
        f"{field} {description}",
        violations=(errors.FieldViolation(field, description),),
    )
