"""What this replica did and has, as Prometheus metrics: true histograms per version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from headrace.histogram import Histogram
from headrace.state.records import LoadState, ReplicaVersion
from headrace_inference.domain.keeper import VersionKeeper
from headrace_inference.domain.statistics import Counts, StatisticsBook

_LABELS = ["model", "version"]


class ReplicaCollector(Collector):
    """Reads the statistics book and the keeper whenever a scraper asks."""

    def __init__(
        self,
        keeper: VersionKeeper,
        book: StatisticsBook,
        gauges: Callable[[], Iterable[tuple[str, str, float]]],
        info: dict[str, str],
    ) -> None:
        self._keeper = keeper
        self._book = book
        self._gauges = gauges
        self._info = info

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        yield InfoMetricFamily("headrace_inference_build", "What this replica runs on", self._info)
        yield from _version_metrics(self._book)
        yield from _state_metrics(self._keeper)
        for name, text, value in self._gauges():
            yield GaugeMetricFamily(name, text, value)


def _version_metrics(book: StatisticsBook) -> Iterator[Metric]:
    counters = {
        "requests": CounterMetricFamily(
            "headrace_inference_requests",
            "Requests answered well, by why",
            labels=[*_LABELS, "route"],
        ),
        "errors": CounterMetricFamily(
            "headrace_inference_errors",
            "Requests answered with an error",
            labels=[*_LABELS, "reason"],
        ),
        "rows": CounterMetricFamily("headrace_inference_rows", "Rows answered", labels=_LABELS),
        "runs": CounterMetricFamily(
            "headrace_inference_executions", "Runs of the model", labels=_LABELS
        ),
    }
    durations = {
        name: HistogramMetricFamily(f"headrace_inference_{name}_seconds", text, labels=_LABELS)
        for name, text in (
            ("request", "From reception to answer"),
            ("queue", "Waiting for a free instance"),
            ("compute", "Assembling, running and answering"),
        )
    }
    for (model, number), statistics in book.items():
        _add_version(counters, durations, [model, str(number)], statistics.totals())
    yield from counters.values()
    yield from durations.values()


def _add_version(
    counters: dict[str, CounterMetricFamily],
    durations: dict[str, HistogramMetricFamily],
    labels: list[str],
    totals: Counts,
) -> None:
    for route, count in totals.routes.items():
        counters["requests"].add_metric([*labels, route], count)
    for reason, count in totals.errors.items():
        counters["errors"].add_metric([*labels, reason], count)
    counters["rows"].add_metric(labels, totals.rows)
    counters["runs"].add_metric(labels, totals.executions)
    _add_histogram(durations["request"], labels, totals.total)
    _add_histogram(durations["queue"], labels, totals.queue)
    _add_histogram(durations["compute"], labels, totals.compute)


def _add_histogram(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    buckets = [(f"{edge:.9g}", float(count)) for edge, count in histogram.octaves()]
    buckets.append(("+Inf", float(histogram.count)))
    family.add_metric(labels, buckets, histogram.sum_ns / 1e9)


def _state_metrics(keeper: VersionKeeper) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "headrace_inference_version_state",
        "1 for the state a version is in",
        labels=[*_LABELS, "state"],
    )
    memory = GaugeMetricFamily(
        "headrace_inference_version_memory_bytes", "What loading a version took", labels=_LABELS
    )
    waiting = GaugeMetricFamily(
        "headrace_inference_waiting_requests",
        "Requests that wait for a free instance",
        labels=_LABELS,
    )
    for version in keeper.versions():
        labels = [version.model, str(version.number)]
        _add_states(states, labels, version)
        memory.add_metric(labels, version.memory_bytes)
    for (model, number), served in keeper.table.ready.items():
        waiting.add_metric([model, str(number)], served.pool.waiting)
    yield from (states, memory, waiting)


def _add_states(family: GaugeMetricFamily, labels: list[str], version: ReplicaVersion) -> None:
    for state in LoadState:
        family.add_metric([*labels, state.value], float(state is version.state))
