"""The figures that rules look at, from the ledger, the sessions of replicas and the catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from headrace.state.records import LoadState
from headrace.telemetry.histogram import EDGES_NS, Histogram
from headrace.telemetry.measures import ERRORS, TOTAL_TIME
from headrace_monitor.domain.alerts.figures import (
    ReplicaGap,
    ServiceCounts,
    ServiceWindow,
    SliceCounts,
    UnreadyVersion,
)
from headrace_monitor.domain.alerts.presence_checks import LOST, MISSING, SILENT
from headrace_monitor.domain.catalog.catalog import Catalog, CatalogModel, Holding, Snapshot
from headrace_monitor.domain.clock import Clock, Moment
from headrace_monitor.domain.ledger.ledger import Ledger
from headrace_monitor.domain.queries.parts import parts_of
from headrace_monitor.domain.queries.query_engine import Query, QueryEngine, VersionStatistics
from headrace_monitor.domain.replicas.gaps import Gap, Reason, gaps_of_sessions
from headrace_monitor.domain.replicas.replica_sessions import ReplicaSession, SessionKey
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.domain.telemetry.tally import Tally

_NAMES = {
    Reason.REPLICA_LOST: LOST,
    Reason.REPLICA_SILENT: SILENT,
    Reason.REPORTS_MISSING: MISSING,
}
_UNTOLD = {*_NAMES, Reason.MONITOR_AWAY}
"""What keeps a window from being whole."""
_NOT_SERVING = {"previous", "latest"}
"""Places in a route from which no requests are answered."""


SET_BACK_NS = 60 * NANOSECONDS
LONG_AGO_NS = 365 * 86_400 * NANOSECONDS

STEPS = 30
"""A window of a rule may be longer by a thirtieth: 5 minutes are added up from 10 s each, not from 1 s."""


class LedgerFigures:
    """What versions did, as questions to the monitor are answered."""

    def __init__(self, query_engine: QueryEngine, kept_seconds: float) -> None:
        self._query_engine = query_engine
        self._kept_seconds = kept_seconds

    async def during(
        self, seconds: float, is_wanted: Callable[[str], bool] | None = None, end_ns: int = 0
    ) -> ServiceWindow:
        """The counts of the models that are wanted, of so many seconds, or of what is kept of them."""
        length = min(seconds, self._kept_seconds)
        query = Query(
            window_ns=int(length * NANOSECONDS),
            end_ns=end_ns,
            is_seen=is_wanted,
            step_seconds=int(length // STEPS),
        )
        found = await self._query_engine.statistics(query)
        return ServiceWindow(
            {(each.series.model, each.series.version): _counts(each) for each in found.versions},
            found.time_range.seconds,
            tuple(dict.fromkeys(_said(gap) for gap in found.gaps)),
            is_whole=not any(gap.reason in _UNTOLD for gap in found.gaps),
        )


class SessionGaps:
    """Which counts of replicas are missing, by their sessions."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def gaps(self) -> Sequence[ReplicaGap]:
        """All that are remembered."""
        sessions = dict(self._ledger.sessions)
        moment = self._clock()
        return [
            _replica_gap(gap, sessions, moment)
            for gap in gaps_of_sessions(sessions, moment)
            if gap.reason in _NAMES
        ]


class CatalogStates:
    """Which versions should serve and do not, by the catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def unready(self) -> Sequence[UnreadyVersion] | None:
        """Those in routes and aliases that a replica cannot load, or that none has; None while the registry
        is away."""
        freshness = self._catalog.freshness()
        if not (freshness.is_known and freshness.is_connected):
            return None
        return unready_of(self._catalog.snapshot)


def unready_of(snapshot: Snapshot) -> list[UnreadyVersion]:
    """Return the versions that should serve and are not ready."""
    records = snapshot.replicas.records
    on_request = any(record.loads_on_request for record in records)
    found = []
    for name, model in snapshot.models.items():
        for number in sorted(_wanted(model)):
            holdings = snapshot.replicas.of(name, number)
            unready = _unready(name, number, holdings)
            if unready is not None:
                found.append(unready)
            elif records and not holdings and not on_request:
                found.append(UnreadyVersion(name, number, "NOT_LOADED", ()))
    return found


def _wanted(model: CatalogModel) -> set[int]:
    in_route = {number for number in model.versions if {*model.roles_of(number)} - _NOT_SERVING}
    return in_route | {alias.version for alias in model.aliases.values()}


def _unready(model: str, number: int, holdings: Sequence[Holding]) -> UnreadyVersion | None:
    failed = [each for each in holdings if each.state is LoadState.UNAVAILABLE and each.reason]
    if failed:
        replicas = tuple(each.replica for each in failed)
        return UnreadyVersion(model, number, "UNAVAILABLE", replicas, failed[0].reason[:300])
    if holdings and not any(each.state is LoadState.READY for each in holdings):
        replicas = tuple(each.replica for each in holdings)
        return UnreadyVersion(model, number, holdings[0].state.value, replicas)
    return None


def _counts(each: VersionStatistics) -> ServiceCounts:
    tally = each.tally
    errors: Mapping[str, int] = tally[ERRORS]
    times: Histogram = tally[TOTAL_TIME]
    return ServiceCounts(
        tally.request_count,
        errors,
        partial(_share_within, times),
        lambda quantile: times.quantile_ns(quantile) / NANOSECONDS,
        partial(_slices, tally),
    )


def _slices(tally: Tally) -> Mapping[str, SliceCounts]:
    return {
        each.part.value: SliceCounts(each.success_count + sum(each.errors.values()), each.errors)
        for each in parts_of(tally, ("slice",))
    }


def _share_within(times: Histogram, seconds: float) -> float:
    """The share in buckets up to the one that this time is in."""
    counts = times.sparse()
    total = sum(counts.values())
    if not total:
        return 1.0
    edge = int(np.searchsorted(EDGES_NS, seconds * NANOSECONDS, side="left"))
    below = sum(count for bucket, count in counts.items() if bucket < edge)
    return (below + counts.get(edge, 0)) / total


def _replica_gap(
    gap: Gap, sessions: Mapping[SessionKey, ReplicaSession], moment: Moment
) -> ReplicaGap:
    session = sessions[SessionKey(gap.replica, gap.boot_id)]
    if gap.reason is Reason.REPORTS_MISSING:
        age_ns = moment.now_ns - gap.end_ns
        if age_ns < -SET_BACK_NS:  # of before the clock was set back: no report ends later than now
            age_ns = LONG_AGO_NS
    else:  # by the steady time: a clock that is set makes nothing older
        age_ns = moment.steady_ns - session.seen_ns
    return ReplicaGap(
        gap.replica,
        _NAMES[gap.reason],
        gap.start_ns,
        gap.end_ns,
        gap.missing_reports,
        max(0, age_ns) / NANOSECONDS,
    )


def _said(gap: Gap) -> str:
    if gap.reason is Reason.TRIMMED:
        return "older windows are gone"
    if gap.reason is Reason.VERSIONS_FOLDED:
        return "versions beyond the limit count as _other"
    if gap.reason is Reason.MONITOR_AWAY:
        return f"the monitor {gap.monitor} does not answer"
    what = {
        Reason.REPLICA_LOST: "ended without its last report",
        Reason.REPLICA_SILENT: "does not report",
        Reason.REPORTS_MISSING: "dropped reports",
    }[gap.reason]
    return f"replica {gap.replica} {what}"
