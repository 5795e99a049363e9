"""Exports the totals to Prometheus.

Nothing here goes back when the monitor restarts, since the totals are stored: rates over a restart are
true. Durations become cumulative buckets at the powers of two nanoseconds, where counts are exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from headrace.telemetry.histogram import Histogram
from headrace.telemetry.measures import MEASURES, Kind, Measure, Value
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.ledger.ledger import Ledger
from headrace_monitor.domain.ledger.totals import VersionKey
from headrace_monitor.domain.queries.parts import parts_of
from headrace_monitor.domain.replicas.gaps import Reason, gaps_of_sessions
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.domain.telemetry.tally import Tally

MAX_ROWS_EXPONENT = 16
"""Batches have up to 2^16 rows, the largest max_batch_size."""

_VERSION = ("model", "version")


def build_registry(ledger: Ledger, clock: Clock, *others: Collector) -> CollectorRegistry:
    """Build the registry of a scrape: the ledger, these collectors, and the process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    for collector in (LedgerCollector(ledger, clock), *others):
        registry.register(collector)
    return registry


class LedgerCollector(Collector):
    """Reads a ledger at every scrape, in any thread."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """Every metric as it is now."""
        versions = self._ledger.totals.versions
        yield _requests(versions)
        for measure in MEASURES:
            if measure.metric:
                counted = {key: tally for key, tally in versions.items() if measure in tally}
                yield _FAMILIES[measure.kind](measure, counted if measure.sparse else versions)
        yield _failed_by_reason(versions)
        yield from self._own()

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: what there is depends on what was reported."""
        return ()

    def _own(self) -> Iterable[Metric]:
        totals = self._ledger.totals
        yield CounterMetricFamily(
            "headrace_monitor_reports", "Reports merged.", value=totals.reports
        )
        dropped = CounterMetricFamily(
            "headrace_monitor_dropped_reports",
            "Reports that a replica dropped because it could not send them in time.",
            labels=["replica"],
        )
        for replica, count in list(totals.dropped.items()):
            dropped.add_metric([replica], count)
        yield dropped
        yield from self._replicas()
        yield GaugeMetricFamily(
            "headrace_monitor_window_bytes",
            "Memory that the windows hold.",
            value=self._ledger.windows.size_bytes,
        )

    def _replicas(self) -> Iterable[Metric]:
        sessions = dict(self._ledger.sessions)
        known = Counter(
            (gap.replica, gap.reason) for gap in gaps_of_sessions(sessions, self._clock())
        )
        for name, text, reason in _GAPS:
            family = GaugeMetricFamily(name, text, labels=["replica"])
            for replica in {key.replica: None for key in sessions}:
                family.add_metric([replica], known[replica, reason])
            yield family
        ahead = GaugeMetricFamily(
            "headrace_monitor_replica_clock_ahead_seconds",
            "How far a replica's clock is ahead of the monitor's; negative where it is behind.",
            labels=["replica"],
        )
        for replica, session in {key.replica: session for key, session in sessions.items()}.items():
            ahead.add_metric([replica], session.clock_ahead_ns / NANOSECONDS)
        yield ahead


_GAPS = (
    (
        "headrace_monitor_replica_lost_lives",
        "Processes of a replica, of those remembered, that ended without a last report: counts are lost.",
        Reason.REPLICA_LOST,
    ),
    (
        "headrace_monitor_replica_silent",
        "1 while a replica that has not ended does not report.",
        Reason.REPLICA_SILENT,
    ),
    (
        "headrace_monitor_replica_incomplete_lives",
        "Processes of a replica, of those remembered, some reports of which are missing.",
        Reason.REPORTS_MISSING,
    ),
)

Versions = Mapping[VersionKey, Tally]


def _labels(key: VersionKey) -> list[str]:
    return [key.model, str(key.version)]


def _requests(versions: Versions) -> Metric:
    family = CounterMetricFamily(
        "headrace_requests", "Requests answered, well or not.", labels=_VERSION
    )
    for key, tally in versions.items():
        family.add_metric(_labels(key), tally.request_count)
    return family


def _failed_by_reason(versions: Versions) -> Metric:
    """Only sums and counts: histograms would be thirty series for each reason of each version."""
    family = SummaryMetricFamily(
        "headrace_request_errors_duration_seconds",
        "From reception to the error, by its reason, of requests answered with one.",
        labels=(*_VERSION, "reason"),
    )
    for key, tally in versions.items():
        for part in parts_of(tally, ("reason",)):
            if part.failed.count:
                seconds = part.failed.sum_ns / NANOSECONDS
                family.add_metric([*_labels(key), part.part.value], part.failed.count, seconds)
    return family


def _counter(measure: Measure[Value], versions: Versions) -> Metric:
    counter = cast("Measure[int]", measure)
    family = CounterMetricFamily(measure.metric, measure.help, labels=_VERSION)
    for key, tally in versions.items():
        family.add_metric(_labels(key), tally[counter])
    return family


def _labelled(measure: Measure[Value], versions: Versions) -> Metric:
    counts = cast("Measure[Mapping[str, int]]", measure)
    labels = (*_VERSION, measure.label)
    family = CounterMetricFamily(measure.metric, measure.help, labels=labels)
    for key, tally in versions.items():
        for label, count in tally[counts].items():
            family.add_metric([*_labels(key), label], count)
    return family


def _sizes(measure: Measure[Value], versions: Versions) -> Metric:
    sizes = cast("Measure[Mapping[int, int]]", measure)
    family = HistogramMetricFamily(measure.metric, measure.help, labels=_VERSION)
    for key, tally in versions.items():
        counts = tally[sizes]
        together = sum(size * count for size, count in counts.items())
        family.add_metric(_labels(key), _size_buckets(counts), sum_value=together)
    return family


def _size_buckets(counts: Mapping[int, int]) -> list[tuple[str, float]]:
    edges = [2**exponent for exponent in range(MAX_ROWS_EXPONENT + 1)]
    buckets: list[tuple[str, float]] = [
        (str(edge), sum(count for rows, count in counts.items() if rows <= edge)) for edge in edges
    ]
    return [*buckets, ("+Inf", sum(counts.values()))]


def _durations(measure: Measure[Value], versions: Versions) -> Metric:
    durations = cast("Measure[Histogram]", measure)
    family = HistogramMetricFamily(measure.metric, measure.help, labels=_VERSION)
    for key, tally in versions.items():
        histogram = tally[durations]
        buckets: list[tuple[str, float]] = [
            (_edge(seconds), count) for seconds, count in histogram.octaves()
        ]
        buckets.append(("+Inf", histogram.count))
        family.add_metric(_labels(key), buckets, sum_value=histogram.sum_ns / 1e9)
    return family


def _edge(seconds: float) -> str:
    return format(seconds, ".9g")


_FAMILIES: Mapping[Kind, Callable[[Measure[Value], Versions], Metric]] = {
    Kind.COUNTER: _counter,
    Kind.LABELS: _labelled,
    Kind.SIZES: _sizes,
    Kind.HISTOGRAM: _durations,
}
