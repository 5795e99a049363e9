"""Triton's metrics of versions, by its names, types and labels: dashboards made for it go on working.

What has no meaning here is absent: response caching, pinned memory, first responses of decoupled models.
Number 0 of a model, under which requests count that reached no version, is left out, too: Triton has no
such series, and counts no such requests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from headrace_inference.adapters.metrics.series_limit import version_labels
from headrace_inference.adapters.metrics.text import Family
from headrace_inference.domain.versions.statistics import Counts

Key = tuple[str, int]

FAILURES = {
    "QUEUE_FULL": "REJECTED",
    "QUEUE_TIMEOUT": "REJECTED",
    "QUEUE_WAIT_TOO_LONG": "REJECTED",
    "DEADLINE_OUT_OF_REACH": "REJECTED",
    "MAX_IN_FLIGHT_REACHED": "REJECTED",
    "NO_THREAD": "REJECTED",
    "DEADLINE_EXCEEDED": "REJECTED",
    "CANCELLED": "CANCELED",
    "RUN_FAILED": "BACKEND",
    "RUN_OUT_OF_MEMORY": "BACKEND",
    "INPUTS_REFUSED": "BACKEND",
    "RUN_TOO_LONG": "BACKEND",
    "VERSION_BROKEN": "BACKEND",
}
"""Triton's words for our reasons; all others are OTHER."""

_OTHER = "OTHER"
_REASONS = ("REJECTED", "CANCELED", "BACKEND", _OTHER)


def failures(errors: Mapping[str, int]) -> dict[str, int]:
    """Failed requests by Triton's reasons: all four, also those at 0."""
    counts: Counter[str] = Counter()
    for reason, count in errors.items():
        counts[FAILURES.get(reason, _OTHER)] += count
    return {reason: counts[reason] for reason in _REASONS}


def work_families(counts: Mapping[Key, Counts]) -> Iterator[Family]:
    """Yield what versions did: requests, inferences, executions, and time in microseconds."""
    failed = Family("nv_inference_request_failure", "counter", "Failed requests, by reason")
    counters = [
        Family(f"nv_inference_{name}", "counter", text)
        for name, text in (
            ("request_success", "Successful requests"),
            ("count", "Inferences: the rows of successful requests"),
            ("exec_count", "Runs of the model, of any batch size"),
            ("request_duration_us", "Time of successful requests, end to end"),
            ("queue_duration_us", "Time of requests in the queue"),
            ("compute_input_duration_us", "Time of requests while their inputs were assembled"),
            ("compute_infer_duration_us", "Time of requests while the model ran"),
            ("compute_output_duration_us", "Time of requests while they were answered"),
        )
    ]
    for key, count in counts.items():
        if key[1]:
            labels = version_labels(key)
            for family, value in zip(counters, _values(count), strict=True):
                family.add(value, labels)
            for reason, value in failures(count.errors).items():
                failed.add(value, f'{labels},reason="{reason}"')
    yield from (*counters, failed)


def _values(count: Counts) -> tuple[int, ...]:
    histograms = (count.total, count.queue, count.input, count.infer, count.output)
    sums = [histogram.sum_ns // 1000 for histogram in histograms]
    return (count.successes, count.rows, count.executions, *sums)


def state_families(
    waiting: Mapping[Key, int], load_seconds: Mapping[Key, float]
) -> Iterator[Family]:
    """Yield what loaded versions have: requests that wait, and how long loading took."""
    pending = Family("nv_inference_pending_request_count", "gauge", "Requests in the queue")
    loaded = Family("nv_model_load_duration_secs", "gauge", "How long loading took")
    for family, values in ((pending, waiting), (loaded, load_seconds)):
        for key, value in values.items():
            family.add(value, version_labels(key))
        yield family
