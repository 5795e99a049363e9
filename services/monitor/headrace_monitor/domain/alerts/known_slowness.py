"""Which versions take longer than they did: minutes of the ledger, put before the watches of `pace.py`.

Nothing of it is stored: after a start the minutes of the last day are gone through again, up
to an hour of them at each evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace.telemetry.measures import COMPUTE_TIME, EXECUTIONS, GENERATED_TOKENS, ROWS
from headrace_monitor.domain.alerts.figures import SlowerVersion
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.drift.pace import Load, Pace, Slowdown
from headrace_monitor.domain.queries.query_engine import Query, QueryEngine, Statistics
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.domain.telemetry.tally import Tally

MINUTE_NS = 60 * NANOSECONDS
SETTLED_NS = 20 * NANOSECONDS
"""Reports come a little late: a minute is taken when it has been over for so long."""
LOOKED_BACK_MINUTES = 1440
MINUTES_AT_ONCE = 60
VERSION_MINUTES_AT_ONCE = 5000
"""Questions wait while earlier minutes are gone through."""
LEAST_REQUESTS = 30
"""Minutes of fewer requests tell nothing."""
MOST_VERSIONS = 2000
SILENT_MINUTES = 360
"""What had no requests for so long is slower no more; after a week it is forgotten."""
FORGOTTEN_MINUTES = 7 * 1440
QUANTILES = (0.5, 0.9)


@dataclass(slots=True)
class _Watched:
    """A version's watches, one for each quantile, and its newest minute."""

    paces: tuple[Pace, ...] = field(default_factory=lambda: tuple(Pace() for _ in QUANTILES))
    minute: int = 0


class KnownSlowness:
    """Takes in each minute when it is settled; asked for nothing, it does nothing."""

    def __init__(self, questions: QueryEngine, clock: Clock) -> None:
        self._questions = questions
        self._clock = clock
        self._versions: dict[tuple[str, int], _Watched] = {}
        self._next = 0
        self._at_once = 2

    async def slower(self) -> Sequence[SlowerVersion] | None:
        """All that take longer; None while earlier minutes are gone through."""
        end = (self._clock().now_ns - SETTLED_NS) // MINUTE_NS
        if not self._next or self._next > end + 1:  # the clock was set back
            self._versions, self._next = {}, end - LOOKED_BACK_MINUTES
        minutes = min(end - self._next, self._at_once)
        if minutes > 0:
            await self._take(self._next + minutes, minutes)
            self._next += minutes
            most = VERSION_MINUTES_AT_ONCE // max(1, len(self._versions))
            self._at_once = min(max(most, 2), MINUTES_AT_ONCE)
        return self._found(end) if self._next >= end else None

    async def _take(self, end: int, minutes: int) -> None:
        query = Query(window_ns=minutes * MINUTE_NS, end_ns=end * MINUTE_NS)
        found = await self._questions.series(query, MINUTE_NS)
        await self._questions.run_in_thread(lambda: self._take_minutes(found, end))

    def _take_minutes(self, found: Sequence[Statistics], end: int) -> None:
        for each in found:
            self._take_minute(each.time_range.start_ns // MINUTE_NS, each)
        old = end - FORGOTTEN_MINUTES
        self._versions = {key: of for key, of in self._versions.items() if of.minute >= old}

    def _take_minute(self, minute: int, statistics: Statistics) -> None:
        replicas = max(1, len(statistics.replicas))
        for each in statistics.versions:
            requests = each.tally[COMPUTE_TIME].count
            if requests < LEAST_REQUESTS or not each.series.version:
                continue
            if GENERATED_TOKENS in each.tally:  # an answer takes as long as it is
                continue
            key = (each.series.model, each.series.version)
            watched = self._versions.get(key)
            if watched is None and len(self._versions) < MOST_VERSIONS:
                watched = self._versions[key] = _Watched()
            if watched is not None:
                _step(watched, minute, requests / replicas, each.tally)

    def _found(self, end: int) -> list[SlowerVersion]:
        return [
            SlowerVersion(model, version, quantile, slowdown)
            for (model, version), watched in self._versions.items()
            if end - watched.minute < SILENT_MINUTES
            for quantile, slowdown in _worst(watched)
        ]


def _step(watched: _Watched, minute: int, requests: float, tally: Tally) -> None:
    load = Load.of(requests, tally[ROWS] / max(1, tally[EXECUTIONS]))
    times = tally[COMPUTE_TIME]
    for quantile, pace in zip(QUANTILES, watched.paces, strict=True):
        pace.step(minute, load, times.quantile_ns(quantile) / NANOSECONDS)
    watched.minute = minute


def _worst(watched: _Watched) -> list[tuple[float, Slowdown]]:
    found = [
        (quantile, pace.slowdown) for quantile, pace in zip(QUANTILES, watched.paces, strict=True)
    ]
    sure = [(quantile, slowdown) for quantile, slowdown in found if slowdown is not None]
    return sorted(sure, key=lambda item: -item[1].ratio)[:1]
