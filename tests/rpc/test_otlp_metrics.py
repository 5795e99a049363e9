"""Metrics over OTLP: exact counts, the buckets of the specification, and quantiles that agree."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from headrace.inference import grpc_service_pb2_grpc
from headrace.telemetry.histogram import EDGES_NS, RELATIVE_ERROR, Histogram
from headrace_monitor.adapters.otlp_points import duration_point
from tests.rpc.grpc_fixtures import request
from tests.rpc.monitors import NOW, report, running_monitor, telemetry
from tests.rpc.otlp_collector import attributes_of, running_collector
from tests.rpc.test_otlp_spans import SAMPLED, TRACE
from tests.rpc.test_quality_end_to_end import ROWS, classifier
from tests.rpc.test_serve_folder import serving


def specified_index(value: float, scale: int) -> int:
    """The bucket of a value as OpenTelemetry's data model has it: (base^i, base^(i+1)]."""
    return math.ceil(math.log2(value) * (1 << scale)) - 1


def buckets_of(point: Any) -> dict[int, int]:
    return {
        point.positive.offset + place: count
        for place, count in enumerate(point.positive.bucket_counts)
        if count
    }


@pytest.mark.parametrize("exponent", [10, 11, 20, 30, 39])
def test_powers_of_two_are_in_the_bucket_that_ends_with_them(exponent: int) -> None:
    histogram = Histogram()
    histogram.record(np.array([2**exponent, 2**exponent + 1]))
    point = duration_point(histogram, {}, (1, 2))
    assert {64 * exponent - 1: 1, 64 * exponent: 1} == buckets_of(point)
    assert specified_index(2.0**exponent, 6) == 64 * exponent - 1


def test_every_duration_is_in_the_bucket_of_the_specification() -> None:
    """But for rounding at an edge: there either neighbour is right."""
    durations = np.unique(np.geomspace(1025, 2**39, 5000).astype(np.int64))
    histogram = Histogram()
    histogram.record(durations)
    expected: dict[int, int] = {}
    for duration in durations.tolist():
        place = specified_index(duration, 6)
        expected[place] = expected.get(place, 0) + 1
    assert expected == buckets_of(duration_point(histogram, {}, (1, 2)))


def test_what_is_out_of_the_range_is_at_its_edge() -> None:
    histogram = Histogram()
    histogram.record(np.array([1, 2**50]))
    point = duration_point(histogram, {}, (1, 2))
    assert {639: 1, 2559: 1} == buckets_of(point)
    assert (2, float(2**50 + 1)) == (point.count, point.sum)


def quantile_of(point: Any, quantile: float) -> float:
    """In seconds, from the buckets: the geometric middle."""
    rank, seen = math.ceil(quantile * point.count), 0
    for place, count in sorted(buckets_of(point).items()):
        seen += count
        if seen >= rank:
            return float(2.0 ** ((place + 0.5) / 2**point.scale) / 1e9)
    raise AssertionError("no such quantile")


def octave_of(page: str, quantile: float) -> tuple[float, float]:
    """The bucket of Prometheus' histogram that has the quantile, in seconds."""
    found = re.findall(r'headrace_request_duration_seconds_bucket\{le="([^"]+)".*?\} (.+)', page)
    edges = [(float(edge), float(count)) for edge, count in found]
    rank = math.ceil(quantile * edges[-1][1])
    place = next(place for place, (_, count) in enumerate(edges) if count >= rank)
    return edges[place - 1][0], edges[place][0]


async def test_p99_is_the_same_from_prometheus_answers_and_otlp(tmp_path: Path) -> None:
    """The answer and OTLP within 0.55 % of the truth, Prometheus in the octave that has it."""
    rng = np.random.default_rng(7)
    durations = (rng.lognormal(16, 1.2, 20_000)).astype(np.int64)
    exact = float(np.sort(durations)[math.ceil(0.99 * len(durations)) - 1]) / 1e9
    with running_collector() as collector:
        async with running_monitor(tmp_path, otlp_endpoint=collector.address) as monitor:
            own = telemetry(durations.tolist(), failed=3)
            await monitor.send([report("a", 1, own)])
            answer = (await monitor.query()).statistics[0]
            _, page = await monitor.get("/metrics")
        metrics = collector.metrics
    (point,) = metrics.newest["headrace.request.duration"].exponential_histogram.data_points
    p99 = answer.total.p99.ToNanoseconds() / 1e9
    assert abs(p99 / exact - 1) <= RELATIVE_ERROR + 1e-6
    assert abs(quantile_of(point, 0.99) / exact - 1) <= RELATIVE_ERROR + 1e-6
    assert quantile_of(point, 0.99) == pytest.approx(p99, rel=1e-6)
    low, high = octave_of(page, 0.99)
    assert low < exact <= high == pytest.approx(2 * low)

    assert {"headrace-monitor"} == metrics.instances
    assert (len(durations), int(durations.sum())) == (point.count, int(point.sum))
    assert {"headrace.model": "digits", "headrace.version": "1"} == attributes_of(point)
    assert 0 < point.start_time_unix_nano < point.time_unix_nano
    assert not point.HasField("min")
    (failed,) = metrics.newest["headrace.request.errors"].sum.data_points
    assert (3, "QUEUE_FULL") == (failed.as_int, attributes_of(failed)["error.type"])
    assert metrics.newest["headrace.rows"].sum.is_monotonic
    (sizes,) = metrics.newest["headrace.batch.rows"].histogram.data_points
    assert (len(durations), len(durations)) == (sizes.count, sizes.bucket_counts[0])
    assert EDGES_NS[0] == 1024


async def test_totals_of_before_a_start_are_not_told_again(tmp_path: Path) -> None:
    with running_collector() as collector:
        settings: dict[str, Any] = {"otlp_endpoint": collector.address}
        for number, count in ((1, 10), (2, 4)):
            async with running_monitor(tmp_path, **settings) as monitor:
                durations = [1_000_000 * number] * count
                await monitor.send([report("a", number, telemetry(durations), end_ns=NOW)])
            (point,) = collector.metrics.newest[
                "headrace.request.duration"
            ].exponential_histogram.data_points
            assert (count, sum(durations)) == (point.count, int(point.sum))
            (rows,) = collector.metrics.newest["headrace.rows"].sum.data_points
            assert count == rows.as_int


async def test_a_collector_that_is_away_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with running_monitor(tmp_path, otlp_endpoint="http://127.0.0.1:1") as monitor:
        assert [1] == await monitor.send([report("a", 1, telemetry([1_000_000]))])
        assert 1 == (await monitor.query()).statistics[0].success_count


async def test_a_bucket_leads_to_the_trace_of_a_request_in_it(tmp_path: Path) -> None:
    """Of three requests the traced one; its exemplar names the span of the request."""
    (tmp_path / "models" / "choice").mkdir(parents=True)
    (tmp_path / "models" / "choice" / "model.onnx").write_bytes(classifier())
    with running_collector() as collector:
        otlp: dict[str, Any] = {"otlp_endpoint": collector.address, "otlp_trace_share": 0.0}
        async with (
            running_monitor(tmp_path / "monitor", **otlp) as monitor,
            serving(
                tmp_path / "models", tmp_path / "replica", monitor_address=monitor.address, **otlp
            ) as replica,
        ):
            for metadata in ((), SAMPLED, ()):
                await infer(replica.fronts.grpc_address, metadata)
            spans = await collector.when(lambda spans: len(spans) >= 4)
    (whole,) = (span for span in spans if span.name == "infer choice")
    (point,) = collector.metrics.newest[
        "headrace.request.duration"
    ].exponential_histogram.data_points
    (exemplar,) = point.exemplars
    assert 3 == point.count
    assert (TRACE, whole.span_id) == (exemplar.trace_id.hex(), exemplar.span_id)
    assert whole.end_time_unix_nano == exemplar.time_unix_nano
    assert whole.end_time_unix_nano - whole.start_time_unix_nano == exemplar.as_double


async def infer(address: str, metadata: tuple[tuple[str, str], ...]) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        await stub.ModelInfer(request("choice", ROWS), metadata=metadata)
