"""Parts of a version's requests: by reason, route, slice and caller, from replicas to answers."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from headrace.client import PartStatistics, resource_messages
from headrace.monitor.v1 import telemetry_pb2
from headrace.telemetry.parts import Part
from headrace.tls.peers import PlainPeer
from headrace_inference.adapters.telemetry import TelemetryBuffer
from headrace_inference.adapters.telemetry_sending import flush_telemetry
from headrace_inference.domain.scheduling.requests import InferenceRequest
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from headrace_monitor.domain.telemetry.known_parts import MOST
from tests.rpc.monitors import (
    MILLISECOND,
    RunningMonitor,
    histogram_of,
    report,
    running_monitor,
    telemetry,
)

LABELS = ("reason", "route", "slice", "caller")


def total(label: str, value: str, *durations_ns: int) -> telemetry_pb2.PartMeasure:
    """The times of a part."""
    measure = telemetry_pb2.Measure(name="total", histogram=histogram_of(durations_ns))
    return telemetry_pb2.PartMeasure(label=label, value=value, measure=measure)


async def parts_in(monitor: RunningMonitor) -> dict[Part, PartStatistics]:
    """The parts of the only version."""
    answer = await monitor.query(parts_by=LABELS)
    (version,) = resource_messages.statistics_from_proto(answer).versions
    return {Part(each.label, each.value): each for each in version.parts}


class Call:
    """A request, as the statistics see it."""

    def __init__(self, route: str, asked: object = None) -> None:
        self.route = route
        self.asked: object = asked
        self.received_ns = 0


async def test_parts_of_a_replica_arrive(tmp_path: Path) -> None:
    """Times of errors by reason, answers and errors by route and slice; those who left are apart."""
    book = StatisticsRegistry(lambda asked: (Part("slice", str(asked)),))
    counters = book.of("digits", 1)
    for route, asked, took_ms in (("stable", "a=1", 1), ("canary", "a=2", 4), ("stable", "a=2", 2)):
        times = (0, 0, 0, took_ms * MILLISECOND)
        counters.record_answer(Call(route, asked), times, took_ms * MILLISECOND)  # type: ignore[arg-type]
    counters.record_error("QUEUE_FULL", 8 * MILLISECOND, Call("canary", "a=1"))  # type: ignore[arg-type]
    counters.record_error("CANCELLED", 16 * MILLISECOND, Call("canary", "a=1"))  # type: ignore[arg-type]
    async with running_monitor(tmp_path) as monitor:
        buffer = TelemetryBuffer("a", book, 10)
        buffer.collect()
        await flush_telemetry(buffer, PlainPeer(monitor.channel), 10)
        found = await parts_in(monitor)
        _, page = await monitor.get("/metrics")

    labels = '{model="digits",reason="QUEUE_FULL",version="1"}'
    assert f"headrace_request_errors_duration_seconds_count{labels} 1.0" in page.splitlines()
    assert f"headrace_request_errors_duration_seconds_sum{labels} 0.008" in page.splitlines()
    assert {
        ("reason", "CANCELLED"): (0, 0, 1),
        ("reason", "QUEUE_FULL"): (0, 1, 0),
        ("route", "canary"): (1, 1, 1),
        ("route", "stable"): (2, 0, 0),
        ("slice", "a=1"): (1, 1, 1),
        ("slice", "a=2"): (2, 0, 0),
    } == {
        part: (each.success_count, each.error_count, each.left_count)
        for part, each in found.items()
    }
    assert 0.008 == pytest.approx(found[Part("reason", "QUEUE_FULL")].failed.p50_seconds, rel=0.006)
    assert 0.002 == pytest.approx(found[Part("route", "stable")].total.p99_seconds, rel=0.006)
    assert 0.004 == pytest.approx(found[Part("route", "canary")].total.p99_seconds, rel=0.006)


async def test_parts_add_up_and_are_stored(tmp_path: Path) -> None:
    """Over reports, replicas and a restart; nothing of them is counted in the version a second time."""
    version = telemetry([MILLISECOND])
    version.parts.append(total("slice", "header x=eu", MILLISECOND))
    async with running_monitor(tmp_path) as monitor:
        await monitor.send([report("a", 1, version), report("a", 2, version)])
        await monitor.send([report("b", 1, version)])
        before = await parts_in(monitor)
        (counted,) = (await monitor.query()).statistics
    async with running_monitor(tmp_path) as monitor:
        assert before == await parts_in(monitor)
    assert 3 == before[Part("slice", "header x=eu")].success_count
    assert (3, 3, 0) == (counted.success_count, counted.total.count, len(counted.parts))
    assert not [each for each in counted.measures if each.name == "total"]


async def test_parts_are_few(tmp_path: Path) -> None:
    """Those beyond the most that are told apart count together, and none is lost, also after a restart."""
    prefixes = {"route": "", "caller": "", "slice": "header x="}
    for number in range(2):
        async with running_monitor(tmp_path) as monitor:
            for start in range(0, 60, 20):
                version = telemetry([])
                for place in range(start, start + 20):
                    version.parts.extend(
                        total(label, f"{prefix}{place}", MILLISECOND)
                        for label, prefix in prefixes.items()
                    )
                await monitor.send([report(f"a{start}", number + 1, version)])
            (counted,) = (await monitor.query(parts_by=LABELS)).statistics
    for label, prefix in prefixes.items():
        found = {each.value: each.success_count for each in counted.parts if each.label == label}
        assert MOST[label] + 1 == len(found)
        if label != "route":  # whose counts are those of the version
            assert 2 * 60 == sum(found.values())
            assert 2 * (60 - MOST[label]) == found[f"{prefix}_other"]
    assert 0 == counted.success_count


async def test_unknown_parts_are_left_out(tmp_path: Path) -> None:
    """A newer replica may tell others apart; its report is taken."""
    version = telemetry([MILLISECOND])
    version.parts.append(total("planet", "mars", MILLISECOND))
    version.parts.add(label="slice", value="header x=eu").measure.name = "gravity"
    async with running_monitor(tmp_path) as monitor:
        assert [1] == await monitor.send([report("a", 1, version)])
        assert {Part("route", "stable")} == set(await parts_in(monitor))


async def test_wrong_parts_are_refused(tmp_path: Path) -> None:
    """By name: a value that is too long, a measure of another kind."""
    version = telemetry([MILLISECOND])
    version.parts.append(total("slice", "x" * 257, MILLISECOND))
    part = version.parts.add(label="slice", value="x")
    part.measure.name, part.measure.count = "total", 3
    async with running_monitor(tmp_path) as monitor:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await monitor.send([report("a", 1, version)])
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await monitor.query(parts_by=["planet"])
    assert "versions[0].parts[0].value" in str(refused.value.details())
    assert "parts_by must be among" in str(unknown.value.details())


def test_runs_are_told_apart_by_route() -> None:
    """In the order in which they came, beside answers that were counted one by one."""
    counters = StatisticsRegistry().of("digits", 1)
    calls = [Call("stable"), Call("canary"), Call("pinned")]
    requests: list[InferenceRequest] = calls  # type: ignore[assignment]
    counters.record_run(requests, 3, (0, 0, 0, 5))
    counters.record_answer(Call("canary"), (0, 0, 0, 7), 7)  # type: ignore[arg-type]
    found = counters.drain()
    sums = {part.value: (each.count, each.sum_ns) for part, each in found.parts.total.items()}
    assert {"canary": (2, 12), "pinned": (1, 5)} == sums
    assert {"stable": 1, "canary": 2, "pinned": 1} == found.routes
