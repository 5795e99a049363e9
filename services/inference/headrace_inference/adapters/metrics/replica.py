"""Metrics of a replica's versions: true histograms of each, and Triton's own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from headrace.state.records import LoadState, ReplicaVersion
from headrace_inference.adapters.metrics.generation import added, generated, generation_families
from headrace_inference.adapters.metrics.series_limit import (
    SeriesLimit,
    own_or_others,
    summed,
    version_labels,
)
from headrace_inference.adapters.metrics.summaries import SummaryWindows
from headrace_inference.adapters.metrics.text import Family, label_text, text_of
from headrace_inference.adapters.metrics.triton import state_families, work_families
from headrace_inference.domain.generation.engine import EngineLoad
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.versions.statistics import Counts, StatisticsRegistry

MAX_VERSIONS = 1000

Key = tuple[str, int]
Gauge = tuple[str, str, float]
"""A name, what it means, and its value now."""


class Meter(Protocol):
    """Something of the machine that is read whenever a scraper asks."""

    def families(self) -> Iterable[Family]:
        """Yield what it shows now."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The figures that belong to the event loop, as they were when a scraper asked."""

    versions: Sequence[ReplicaVersion]
    waiting: Mapping[Key, int]
    expected_wait_seconds: Mapping[Key, float]
    graphs: Mapping[Key, str]
    unmeasured: Mapping[Key, int]
    load_seconds: Mapping[Key, float]
    gauges: Sequence[Gauge]
    engines: Mapping[Key, EngineLoad]
    """How busy the engines of generative versions are."""
    known: Container[Key] = ()
    """The versions that there are."""


class ReplicaMetrics:
    """Reads the reconciler, the statistics book and the meters whenever a scraper asks.

    `moment` is quick and belongs on the event loop; `text` may run in a thread, and scrapes may overlap.
    """

    def __init__(
        self,
        reconciler: VersionReconciler,
        book: StatisticsRegistry,
        gauges: Callable[[], Iterable[Gauge]],
        info: Mapping[str, str],
        meters: Sequence[Meter] = (),
        windows: SummaryWindows | None = None,
        max_versions: int = MAX_VERSIONS,
    ) -> None:
        self._reconciler = reconciler
        self._book = book
        self._gauges = gauges
        self._info = info
        self._meters = meters
        self._windows = windows
        self._limit = SeriesLimit(max_versions)
        self._lock = threading.Lock()

    def moment(self) -> Moment:
        """Return what the event loop knows, as it is now."""
        ready = self._reconciler.table.ready
        return Moment(
            self._reconciler.versions(),
            {key: served.scheduler.waiting for key, served in ready.items()},
            {key: served.scheduler.expected_wait_ns / 1e9 for key, served in ready.items()},
            {key: served.runner.graph for key, served in ready.items()},
            {key: int(served.runner.plan.is_provisional) for key, served in ready.items()},
            dict(self._reconciler.load_seconds),
            list(self._gauges()),
            {
                key: served.generative.engine.load
                for key, served in ready.items()
                if served.generative is not None
            },
            self._reconciler.table.catalog.versions,
        )

    def text(self, moment: Moment) -> bytes:
        """All metrics in Prometheus' text format."""
        with self._lock:
            return text_of(self._families(moment))

    def _families(self, moment: Moment) -> Iterator[Family]:
        totals = {key: statistics.totals() for key, statistics in self._book.items()}
        counts = self._limit.told_apart(totals, moment.known)
        own = self._limit.chosen({(one.model, one.number) for one in moment.versions})
        info = Family("headrace_inference_build_info", "gauge", "What this replica runs on")
        info.add(1, label_text(**self._info))
        yield info
        dropped = Family(
            "headrace_inference_dropped_reports_total", "counter", "Telemetry dropped unsent"
        )
        dropped.add(self._book.dropped_reports)
        yield dropped
        yield from _version_families(counts)
        yield from _state_families(moment, own)
        yield from work_families(counts)
        yield from state_families(
            summed(moment.waiting, own),
            {key: value for key, value in moment.load_seconds.items() if key in own},
        )
        yield from generation_families(
            generated(dict(self._book.items()), counts.keys()), added(moment.engines, own)
        )
        if self._windows is not None:
            yield from self._windows.families(counts)
        for meter in self._meters:
            yield from meter.families()


def _version_families(counts: Mapping[Key, Counts]) -> Iterator[Family]:
    name = "headrace_inference"
    requests = Family(f"{name}_requests_total", "counter", "Requests answered well, by why")
    errors = Family(f"{name}_errors_total", "counter", "Requests answered with an error")
    rows = Family(f"{name}_rows_total", "counter", "Rows answered")
    runs = Family(f"{name}_executions_total", "counter", "Runs of the model")
    alone = Family(
        f"{name}_batching_disabled_total",
        "counter",
        "Times that requests were found unfit to share runs, so that they run one by one",
    )
    request = Family(f"{name}_request_seconds", "histogram", "From reception to answer")
    failed = Family(
        f"{name}_error_seconds",
        "histogram",
        "From reception to the error, of requests that had one",
    )
    queue = Family(f"{name}_queue_seconds", "histogram", "Waiting for a free instance")
    compute = Family(f"{name}_compute_seconds", "histogram", "Assembling, running and answering")
    for key, count in counts.items():
        labels = version_labels(key)
        for route, value in count.routes.items():
            requests.add(value, f"{labels},{label_text(route=route)}")
        for reason, value in count.errors.items():
            errors.add(value, f"{labels},{label_text(reason=reason)}")
        rows.add(count.rows, labels)
        runs.add(count.executions, labels)
        alone.add(count.batching_disabled, labels)
        request.add_histogram(count.total, labels)
        queue.add_histogram(count.queue, labels)
        compute.add_histogram(count.compute, labels)
        if count.errors:  # most versions have none, and a histogram is thirty series
            failed.add_histogram(count.failed, labels)
    yield from (requests, errors, rows, runs, alone, request, failed, queue, compute)


def _graphs(moment: Moment, own: AbstractSet[Key]) -> Family:
    text = "1 for the graph that serves: prepared (optimised and saved), or as it was pushed"
    graphs = Family("headrace_inference_version_graph", "gauge", text)
    counts = Counter((own_or_others(key, own), graph) for key, graph in moment.graphs.items())
    for (key, graph), count in counts.items():
        graphs.add(count, f"{version_labels(key)},{label_text(graph=graph)}")
    return graphs


def _unmeasured(moment: Moment, own: AbstractSet[Key]) -> Family:
    text = "1 while it is not measured yet how the version runs best here"
    family = Family("headrace_inference_version_unmeasured", "gauge", text)
    for key, count in summed(moment.unmeasured, own).items():
        family.add(count, version_labels(key))
    return family


def _expected_waits(moment: Moment, own: AbstractSet[Key]) -> Family:
    text = "How long a request would wait that came now; the longest of versions shown together"
    waits = Family("headrace_inference_expected_wait_seconds", "gauge", text)
    longest: dict[Key, float] = {}
    for version_key, seconds in moment.expected_wait_seconds.items():
        key = own_or_others(version_key, own)
        longest[key] = max(seconds, longest.get(key, 0.0))
    for key, seconds in longest.items():
        waits.add(seconds, version_labels(key))
    return waits


def _state_families(moment: Moment, own: AbstractSet[Key]) -> Iterator[Family]:
    name = "headrace_inference"
    states = Family(f"{name}_version_state", "gauge", "1 for the state a version is in")
    memory = Family(f"{name}_version_memory_bytes", "gauge", "What loading a version took")
    waiting = Family(f"{name}_waiting_requests", "gauge", "Requests that wait for a free instance")
    found: dict[Key, Counter[LoadState]] = {}
    taken: Counter[Key] = Counter()
    for version in moment.versions:
        key = own_or_others((version.model, version.number), own)
        found.setdefault(key, Counter())[version.state] += 1
        taken[key] += version.memory_bytes
    for key, counts in found.items():
        labels = version_labels(key)
        for state in LoadState:
            states.add(counts[state], f'{labels},state="{state.value}"')
        memory.add(taken[key], labels)
    for key, count in summed(moment.waiting, own).items():
        waiting.add(count, version_labels(key))
    yield from (states, memory, waiting, _expected_waits(moment, own))
    yield from (_graphs(moment, own), _unmeasured(moment, own))
    for gauge, text, now in moment.gauges:
        family = Family(gauge, "gauge", text)
        family.add(now)
        yield family
