"""Which versions run requests on the thread that received them, and how many together."""

from __future__ import annotations

from dataclasses import replace

from headrace.state.records import Batching, Priorities
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import VersionCounters
from tests.unit.inference.doubles import (
    DoublingRunner,
    FakeClock,
    RecordingSink,
    version,
)
from tests.unit.inference.scheduling.pools import request, serving, wait_until_idle


def test_only_plain_versions_run_inline() -> None:
    """What has an order, a limit or levels is run by its instances alone."""
    record = version()
    limited = replace(record, config=replace(record.config, max_in_flight_requests=2))
    ordered = version(batching=Batching(8, preserve_ordering=True))
    leveled = replace(record, config=replace(record.config, priorities=Priorities(2, 1)))
    for config, expected in ((record, True), (limited, False), (ordered, False), (leveled, False)):
        with serving(config) as (loaded, _, _):
            wait_until_idle(loaded)
            assert expected == loaded.scheduler.acquire_inline()
            if expected:
                loaded.scheduler.release_inline()


def test_requests_run_inline_once_runs_are_known_to_be_short() -> None:
    """How long runs take is learnt from those that were: of the first nothing is known."""
    runner, sink = DoublingRunner(), RecordingSink()
    loaded = LoadedVersion(version(), runner, VersionCounters(), FakeClock())  # runs take no time
    assert not loaded.try_run_inline([request(loaded, sink, "unknown")])
    for index in range(100):
        loaded.scheduler.enqueue([request(loaded, sink, index)])
        sink.wait(1)
    wait_until_idle(loaded)
    assert loaded.try_run_inline([request(loaded, sink, "quick")])
    assert {"quick"} == set(sink.outputs) - set(range(100))
    loaded.close()


def test_requests_of_several_rows_share_quick_runs_where_nobody_set_a_limit() -> None:
    """Each gets its own rows; with a limit that was asked for each runs alone."""
    for larger, expected in ((True, [12]), (False, [3, 3, 3, 3])):
        runner, sink = DoublingRunner(), RecordingSink()
        record = version(batching=Batching(4, allow_larger_requests=larger))
        loaded = LoadedVersion(record, runner, VersionCounters(), FakeClock())
        for index in range(100):
            loaded.scheduler.enqueue([request(loaded, sink, index)])
            sink.wait(1)
        wait_until_idle(loaded)
        runner.batches.clear()
        assert loaded.try_run_inline(
            [request(loaded, sink, name, float(ord(name)), rows=3) for name in "abcd"]
        )
        assert expected == runner.batches
        for name in "abcd":
            assert [[2.0 * ord(name)] * 2] * 3 == sink.outputs[name][0].tolist()
        loaded.close()
