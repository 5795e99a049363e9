"""What the protocol says of a version: its statistics, and why it batches or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headrace_inference.domain.scheduling.requests import InferenceRequest
from headrace_inference.domain.versions.statistics import VersionCounters
from headrace_inference.wire.codec.messages import model_config, model_statistics
from tests.unit.inference.doubles import FakeClock, RecordingSink, header, served, version


def recorded(*batches: tuple[int, int]) -> VersionCounters:
    """The statistics of runs, each of so many requests of so many rows, with the parts 1, 20, 300 µs."""

    statistics, sink = VersionCounters(), RecordingSink()
    loaded = served(version())
    for requests, rows in batches:
        plan = loaded.plan_request([header(rows)], [])
        batch = [InferenceRequest(plan, [], "stable", 0, None, statistics, sink, None)] * requests
        statistics.record_run(batch, requests * rows, (7_000, 8_000, 28_000, 328_000))
    loaded.close()
    return statistics


def message(statistics: VersionCounters) -> Any:
    """The message of one version."""
    (only,) = model_statistics(
        [(("m", 1), statistics), (("m", 0), statistics)], FakeClock()
    ).model_stats
    return only


def test_the_last_inference_is_told_in_time_since_the_epoch() -> None:
    """Runs are timed on the monotonic clock; what is told is the wall's."""
    statistics, clock = VersionCounters(), FakeClock(5_000_000_000)
    assert 0 == statistics.last_inference_ms(clock)
    statistics.record_run([], 1, (4, 4, 4, 4_000_000_000))
    clock.advance(seconds=60)
    assert 1_004_000 == statistics.last_inference_ms(clock)


def test_totals_count_requests_and_batches_count_runs() -> None:
    """Each request of a batch has the batch's times in the totals; a batch has them once."""
    said = message(recorded((4, 2), (4, 2), (1, 1)))
    assert (17, 3) == (said.inference_count, said.execution_count)
    totals = said.inference_stats
    parts = (totals.compute_input, totals.compute_infer, totals.compute_output)
    assert [(9, 9_000), (9, 180_000), (9, 2_700_000)] == [(part.count, part.ns) for part in parts]
    assert (9, 9 * 328_000, 9, 9 * 7_000) == (
        totals.success.count,
        totals.success.ns,
        totals.queue.count,
        totals.queue.ns,
    )
    assert [(1, 1, 20_000), (8, 2, 40_000)] == [
        (batch.batch_size, batch.compute_infer.count, batch.compute_infer.ns)
        for batch in said.batch_stats
    ]


def test_what_never_ran() -> None:
    """A version that only failed has no times, and its failures with theirs."""
    statistics = VersionCounters()
    statistics.record_error("QUEUE_FULL", 1_000)
    said = message(statistics)
    assert (1, 1_000, 0) == (
        said.inference_stats.fail.count,
        said.inference_stats.fail.ns,
        said.inference_stats.compute_infer.count,
    )


def test_a_config_says_why_the_version_batches_or_not() -> None:
    """The decision of the push is a parameter of the model's config; older versions have none."""
    said = replace(version(), notices=("ZipMap was taken off", "batching off: rows meet"))
    config = model_config(said)
    assert "off: rows meet" == config.parameters["headrace.batching"].string_value
    assert [] == list(model_config(version()).parameters)
