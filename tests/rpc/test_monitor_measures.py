"""Measures by name: known ones, those of newer replicas, and how many of these are kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import grpc
import pytest

from headrace import status
from headrace.client import Latency, MeasureValue, resource_messages
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import telemetry_pb2
from headrace.telemetry.measures import (
    BY_NAME,
    CPU_TIME,
    ENERGY,
    FINISH_REASONS,
    FIRST_TOKEN_TIME,
    GENERATED_TOKENS,
    LOAD_TIME,
    MEASURES,
    PREFIX_HITS,
    PROMPT_TOKENS,
    REUSED_PROMPT_TOKENS,
    ROW_CAPACITY,
    SCHEMA_VIOLATIONS,
    TOKEN_GAP,
)
from headrace.tls.peers import PlainPeer
from headrace_inference.adapters.telemetry import TelemetryBuffer
from headrace_inference.adapters.telemetry_sending import flush_telemetry
from headrace_inference.domain.generation.statistics import EndedGeneration
from headrace_inference.domain.scheduling.requests import InferenceRequest
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from headrace_monitor.domain.telemetry.cardinality import MAX_UNKNOWN_MEASURES
from headrace_monitor.wire.grpc.report_convert import FIELDS, MAX_MEASURES
from tests.rpc.monitors import (
    MILLISECOND,
    RunningMonitor,
    histogram_of,
    report,
    running_monitor,
    seconds,
    telemetry,
)

Measure = telemetry_pb2.Measure
OF_TEXT = (
    *(PROMPT_TOKENS, GENERATED_TOKENS, REUSED_PROMPT_TOKENS, PREFIX_HITS, FINISH_REASONS),
    *(FIRST_TOKEN_TIME, TOKEN_GAP),
)


def version_with(*measures: Measure) -> telemetry_pb2.VersionTelemetry:
    """What a version did: a request, and these measures."""
    version = telemetry([MILLISECOND])
    version.measures.extend(measures)
    return version


NEWER = (
    Measure(name="tokens", count=7),
    Measure(name="tenants", labels={"counts": {"one": 2}}),
    Measure(name="lengths", sizes={"counts": {8: 1}}),
    Measure(name="first_layer", histogram=histogram_of([3 * MILLISECOND])),
)


async def measures_of(monitor: RunningMonitor) -> Mapping[str, MeasureValue]:
    """The measures by name of the only version."""
    (version,) = resource_messages.statistics_from_proto(await monitor.query()).versions
    return version.measures


async def test_measures_of_newer_replicas_are_kept(tmp_path: Path) -> None:
    """Of every kind: added up over reports and replicas, answered by name, and stored."""
    async with running_monitor(tmp_path) as monitor:
        for number in (1, 2):
            await monitor.send([report("a", number, version_with(*NEWER))])
        await monitor.send([report("b", 1, version_with(*NEWER)), report("b", 2, version_with())])
        before = await measures_of(monitor)
    async with running_monitor(tmp_path) as monitor:
        assert before == await measures_of(monitor)
    counted = {name: value for name, value in before.items() if not isinstance(value, Latency)}
    assert {"tokens": 21, "tenants": {"one": 6}, "lengths": {8: 3}} == counted
    first = before["first_layer"]
    assert isinstance(first, Latency)
    assert 3 == first.count
    assert first.p50_seconds == pytest.approx(0.003, rel=0.022)


async def test_a_series_has_measures_too(tmp_path: Path) -> None:
    """The steps of a window answer them as the window does."""
    async with running_monitor(tmp_path) as monitor:
        await monitor.send([report("a", 1, version_with(*NEWER))])
        query = pb.QueryStatisticsRequest(window=seconds(60))
        steps = (await monitor.stub.QuerySeries(pb.QuerySeriesRequest(query=query))).steps
    counts = [each.count for step in steps for s in step.statistics for each in s.measures]
    assert 7 == sum(counts)


async def test_unknown_measures_have_a_bound(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first so many names are kept, over a restart too; a warning tells of the others once."""
    names = [f"measure_{number}" for number in range(MAX_UNKNOWN_MEASURES + 5)]
    versions = [version_with(Measure(name=name, count=1)) for name in names]
    async with running_monitor(tmp_path) as monitor:
        await monitor.send([report("a", number, each) for number, each in enumerate(versions, 1)])
    async with running_monitor(tmp_path) as monitor:
        await monitor.send([report("b", 1, version_with(Measure(name="another", count=1)))])
        await monitor.send([report("b", 2, version_with(Measure(name=names[0], count=1)))])
        kept = await measures_of(monitor)
        requests = (await monitor.query()).statistics[0].success_count
    assert dict.fromkeys(names[:MAX_UNKNOWN_MEASURES], 1) | {names[0]: 2} == kept
    assert len(names) + 2 == requests
    told = [vars(each).get("dropped") for each in caplog.records if each.levelno == logging.WARNING]
    assert [[names[MAX_UNKNOWN_MEASURES]], ["another"]] == [each for each in told if each]


async def test_more_measures_than_are_read_are_no_fault(tmp_path: Path) -> None:
    """A much newer replica's report counts; of its measures the first are taken."""
    many = [Measure(name=f"measure_{number:02}", count=1) for number in range(2 * MAX_MEASURES)]
    async with running_monitor(tmp_path) as monitor:
        assert [1] == await monitor.send([report("a", 1, version_with(*many))])
        assert [each.name for each in many[:MAX_MEASURES]] == list(await measures_of(monitor))


async def test_a_measure_of_an_unknown_kind_is_left_out(tmp_path: Path) -> None:
    """What has a value that this monitor cannot read says nothing; the report counts."""
    sketch = Measure.FromString(Measure(name="sketch").SerializeToString() + b"\xfa\x01\x01x")
    async with running_monitor(tmp_path) as monitor:
        assert [1] == await monitor.send([report("a", 1, version_with(sketch, *NEWER))])
        assert "sketch" not in await measures_of(monitor)


async def test_one_name_of_two_kinds_is_kept_apart(tmp_path: Path) -> None:
    """Replicas that disagree about an unknown measure's kind end nothing, also over a restart."""
    durations = Measure(name="tokens", histogram=histogram_of([MILLISECOND]))
    async with running_monitor(tmp_path) as monitor:
        await monitor.send([report("a", 1, version_with(NEWER[0]))])
        await monitor.send([report("a", 2, version_with(durations))])
    async with running_monitor(tmp_path) as monitor:
        (version,) = (await monitor.query()).statistics
    assert {"count", "latency"} == {each.WhichOneof("value") for each in version.measures}


@pytest.mark.parametrize(
    ("measure", "told"),
    [
        (Measure(name="Load time", count=1), "measures[0].name must match"),
        (Measure(name="", count=1), "measures[0].name must match"),
        (Measure(name="a" * 65, count=1), "measures[0].name must match"),
        (Measure(name="load_time", count=1), "measures[0] must be a HISTOGRAM"),
        (Measure(name="tokens", count=-1), "measures[0].count must be from 0"),
        (Measure(name="t", labels={"counts": {"": 1}}), "measures[0].labels must have 1 to 128"),
        (Measure(name="t", sizes={"counts": {-1: 1}}), "measures[0].sizes must be of"),
        (Measure(name="t", histogram={"sum_ns": -1}), "measures[0].histogram.sum_ns must not"),
        (
            Measure(name="t", histogram={"buckets": b"\1\0\2\0", "bucket_counts": b"\1"}),
            "measures[0].histogram.bucket_counts must have 1, 2, 4 or 8 bytes",
        ),
        (
            Measure(name="t", histogram={"buckets": b"\1\0", "bucket_counts": b"\xff" * 8}),
            "measures[0].histogram.bucket_counts must be from 0",
        ),
    ],
)
async def test_a_wrong_measure_is_refused(tmp_path: Path, measure: Measure, told: str) -> None:
    """The field that is wrong is named."""
    async with running_monitor(tmp_path) as monitor:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await monitor.send([report("a", 1, version_with(measure))])
    error = status.error_from_rpc(caught.value)
    assert "INVALID_REPORT" == error.reason
    assert f"versions[0].{told}" in error.message


async def test_a_measure_with_a_field_may_come_by_its_name(tmp_path: Path) -> None:
    """Both ways add up, so that a field may be given up one day."""
    async with running_monitor(tmp_path) as monitor:
        await monitor.send([report("a", 1, version_with(Measure(name="row_count", count=5)))])
        (version,) = (await monitor.query()).statistics
    assert (6, []) == (version.row_count, list(version.measures))


def test_fields_are_what_replicas_of_before_send() -> None:
    """The measures that came with version 0.1 have fields; no other measure takes a field's name."""
    names = [BY_NAME[name].name for name in FIELDS.values()]
    assert ["success_count", "row_count", "execution_count"] == names[:3]
    assert 10 == len(names)
    later = {each for each in MEASURES if each.key not in FIELDS}
    assert {ROW_CAPACITY, SCHEMA_VIOLATIONS, LOAD_TIME, CPU_TIME, ENERGY, *OF_TEXT} == later
    assert len(later) <= MAX_MEASURES


async def test_batch_fill_and_load_time_reach_everybody(tmp_path: Path) -> None:
    """How full batches were and how long a load took is answered, exported and shown."""
    book = StatisticsRegistry()
    statistics = book.of("digits", 1)
    statistics.record_load(1_500 * MILLISECOND)
    buffer = TelemetryBuffer("a", book, 10)
    buffer.collect()  # a version that was loaded and not called yet
    statistics.set_max_rows(8)
    requests: list[InferenceRequest] = []
    for rows in (2, 8, 6):
        statistics.record_run(requests, rows, (1, 2, 3, 4))
    statistics.set_max_rows(1)
    statistics.record_run(
        requests, 4, (1, 2, 3, 4)
    )  # a larger request than usual, or one under way
    buffer.collect()
    async with running_monitor(tmp_path) as monitor:
        await flush_telemetry(buffer, PlainPeer(monitor.channel), 10)
        assert 0 == len(buffer)
        answer = await monitor.query()
        _, page = await monitor.get("/metrics")
        _, body = await monitor.get("/api/statistics?window=60")
    (version,) = resource_messages.statistics_from_proto(answer).versions
    assert (28, 20 / 28) == (version.measures["row_capacity"], version.batch_fill)
    assert version.load_time is not None
    assert (1, 1.5) == (version.load_time.count, version.load_time.mean_seconds)
    labels = '{model="digits",version="1"}'
    assert f"headrace_row_capacity_total{labels} 28.0" in page
    assert f"headrace_load_duration_seconds_count{labels} 1.0" in page
    (shown,) = json.loads(body)["versions"]
    assert (20 / 28, 1) == (shown["batch_fill"], shown["load_count"])


async def test_generated_text_reaches_everybody(tmp_path: Path) -> None:
    """Tokens, their times and how answers ended are answered, exported and shown, routes apart."""
    book = StatisticsRegistry()
    counters = book.of("chat", 2).generation
    for route, prompt in (("stable", 30), ("canary", 10)):
        counters.record_gap(route, 20 * MILLISECOND, 4)
        counters.record_finish(route, "stop")
        ended = EndedGeneration(route, 1, 2, 100 * MILLISECOND, 180 * MILLISECOND, prompt, 10, 5)
        counters.record_end(ended)
    buffer = TelemetryBuffer("a", book, 10)
    buffer.collect()
    async with running_monitor(tmp_path) as monitor:
        await flush_telemetry(buffer, PlainPeer(monitor.channel), 10)
        answer = await monitor.query()
        _, page = await monitor.get("/metrics")
        _, body = await monitor.get("/api/statistics?window=60")
    (version,) = resource_messages.statistics_from_proto(answer).versions
    assert {"stable": 30, "canary": 10} == version.measures["prompt_tokens"]
    assert (10, 40, 0.5) == (
        version.generated_tokens,
        version.prompt_tokens,
        version.reused_prompt_share,
    )
    assert version.first_token is not None
    assert version.between_tokens is not None
    assert (2, 8) == (version.first_token.count, version.between_tokens.count)
    labels = 'model="chat",version="2"'
    for route in ("stable", "canary"):
        routed = f'{{model="chat",route="{route}",version="2"}}'
        assert f"headrace_generated_tokens_total{routed} 5.0" in page
    assert f"headrace_first_token_duration_seconds_count{{{labels}}} 2.0" in page
    reason = '{model="chat",reason="stop",version="2"}'
    assert f"headrace_generations_finished_total{reason} 2.0" in page
    (shown,) = json.loads(body)["versions"]
    assert 0.5 == shown["text"]["reused_share"]
    assert [20.0] * 2 == pytest.approx(
        [shown["text"][f"between_tokens_{each}_ms"] for each in ("p50", "p99")], rel=0.03
    )


async def test_fill_is_not_told_while_older_replicas_serve(tmp_path: Path) -> None:
    """Rows without their room would make batches look fuller than they are."""
    known = version_with(Measure(name="row_capacity", count=4))
    async with running_monitor(tmp_path) as monitor:
        await monitor.send([report("new", 1, known)])
        (before,) = resource_messages.statistics_from_proto(await monitor.query()).versions
        await monitor.send([report("old", 1, telemetry([MILLISECOND] * 10))])
        (after,) = resource_messages.statistics_from_proto(await monitor.query()).versions
        _, body = await monitor.get("/api/statistics?window=60")
    assert (0.25, None) == (before.batch_fill, after.batch_fill)
    assert json.loads(body)["versions"][0]["batch_fill"] is None
