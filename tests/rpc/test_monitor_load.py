"""Large reports, answers and scrapes: the monitor's event loop stays free, and its memory bounded."""

from __future__ import annotations

import asyncio
import threading
import time
import urllib.request
from asyncio import events
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace import errors, status
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import monitor_service_pb2_grpc as pb_grpc
from headrace.monitor.v1 import telemetry_pb2
from headrace_monitor.app.monitor import open_monitor
from headrace_monitor.settings import Settings
from tests.rpc.monitors import (
    MILLISECOND,
    FakeClock,
    histogram_of,
    report,
    running_monitor,
    seconds,
)

LONGEST_SECONDS = 0.02
MIB = 2**20
NAMES = [f"REASON_{number:04}" for number in range(4096)]


class Served:
    """A monitor that runs in a thread of its own, and what its loop's steps cost of that thread's time."""

    def __init__(self, data: Path, **settings: Any) -> None:
        self._settings = Settings(data=data, grpc_port=0, http_port=0, **settings)
        self._ready = threading.Event()
        self._ended = threading.Event()
        self.steps: list[tuple[float, str]] = []
        self.channel: grpc.Channel
        self.stub: Any
        self.http = ""

    async def serve(self) -> None:
        """Serve until told to end."""
        stopping = asyncio.Event()
        async with open_monitor(self._settings, stopping, FakeClock()) as monitor:
            options = [("grpc.max_receive_message_length", -1)]
            self.channel = grpc.insecure_channel(f"127.0.0.1:{monitor.grpc_port}", options)
            self.stub = pb_grpc.MonitorServiceStub(self.channel)
            self.http = f"http://127.0.0.1:{monitor.http_port}"
            self._ready.set()
            await asyncio.to_thread(self._ended.wait)
            stopping.set()

    @contextmanager
    def running(self) -> Iterator[Served]:
        """Serve while inside."""
        thread = threading.Thread(target=lambda: asyncio.run(self.serve()))
        thread.start()
        try:
            assert self._ready.wait(20)
            yield self
        finally:
            self._ended.set()
            thread.join()
            self.channel.close()

    def send(self, *reports: telemetry_pb2.TelemetryReport) -> list[int]:
        """Send reports over a stream; the numbers that were acknowledged."""
        requests = [pb.ReportTelemetryRequest(report=each) for each in reports]
        return [response.sequence for response in self.stub.ReportTelemetry(iter(requests))]

    def read(self, path: str) -> bytes:
        """A page."""
        with urllib.request.urlopen(self.http + path) as response:
            body: bytes = response.read()
        return body


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    """What each step of any event loop took of its thread's own time, and its name."""
    taken: list[tuple[float, str]] = []
    run: Callable[[Any], None] = events.Handle._run

    def timed(handle: Any) -> None:
        callback: Any = handle._callback
        began = time.thread_time()
        run(handle)
        taken.append((time.thread_time() - began, getattr(callback, "__qualname__", "")))

    monkeypatch.setattr(events.Handle, "_run", timed)
    return taken


def with_many_names(number: int) -> telemetry_pb2.VersionTelemetry:
    """A version with all the names and batch sizes that one report may have."""
    counts = dict.fromkeys(NAMES, 1)
    return telemetry_pb2.VersionTelemetry(
        model=f"named-{number}",
        version=1,
        error_counts=counts,
        route_counts=counts,
        batch_counts=dict.fromkeys(range(4096), 1),
    )


def with_full_histograms(number: int) -> telemetry_pb2.VersionTelemetry:
    """A version with something in every bucket."""
    full = telemetry_pb2.Histogram(counts=dict.fromkeys(range(481), 3), sum_ns=MILLISECOND)
    return telemetry_pb2.VersionTelemetry(
        model=f"full-{number}", version=1, total=full, queue=full, compute=full
    )


def plain(number: int) -> telemetry_pb2.VersionTelemetry:
    """A version as replicas report it."""
    durations = histogram_of(MILLISECOND * factor for factor in range(1, 30))
    return telemetry_pb2.VersionTelemetry(
        model=f"plain-{number}", version=1, success_count=29, total=durations, queue=durations
    )


def test_nothing_holds_up_the_event_loop(tmp_path: Path, steps: list[tuple[float, str]]) -> None:
    """The largest reports, questions over all they told, scrapes and pages: no step takes 20 ms."""
    full = report("a", 1, *map(with_full_histograms, range(400)))
    named = report("a", 2, *map(with_many_names, range(24)))
    many = report("a", 3, *map(plain, range(400)))
    assert 3 * MIB < full.ByteSize() < 4 * MIB
    assert 3 * MIB < named.ByteSize() < 4 * MIB
    with Served(tmp_path).running() as monitor:
        assert [1, 2, 3] == monitor.send(full, named, many)
        day = pb.QueryStatisticsRequest(window=seconds(86_400), by_replica=True)
        assert 824 == len(monitor.stub.QueryStatistics(day).statistics)
        series = pb.QueryStatisticsRequest(window=seconds(600))
        answer = monitor.stub.QuerySeries(pb.QuerySeriesRequest(query=series))
        assert 824 == sum(len(step.statistics) for step in answer.steps)
        assert len(monitor.read("/metrics")) > 5 * MIB
        for path in ("/api/statistics?window=86400", "/api/series?window=600&step=5"):
            assert len(monitor.read(path)) > 100_000
    longest = sorted(steps, reverse=True)[:3]
    assert longest[0][0] < LONGEST_SECONDS, longest


def refusal_of(call: Callable[[], object]) -> errors.HeadraceError:
    """What a call is refused with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return status.error_from_rpc(caught.value)


def test_reports_over_all_streams_have_a_bound(tmp_path: Path) -> None:
    """Of many large reports at once those are refused for which there is no room, with the setting."""
    reports = [report(f"r{n}", 1, *map(with_many_names, range(24))) for n in range(6)]
    outcomes: list[object] = []

    def send(each: telemetry_pb2.TelemetryReport) -> None:
        try:
            outcomes.append(monitor.send(each))
        except grpc.RpcError as error:
            outcomes.append(status.error_from_rpc(error))

    with Served(tmp_path, report_memory_mb=4).running() as monitor:
        senders = [threading.Thread(target=send, args=(each,)) for each in reports]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        refused = [each for each in outcomes if isinstance(each, errors.ResourceExhausted)]
        assert [1] == monitor.send(report("after", 1))
    assert {("INTAKE_FULL", "report_memory_mb")} == {
        (each.reason, each.facts["setting"]) for each in refused
    }
    assert 6 - len(refused) == outcomes.count([1])


async def test_streams_of_reports_have_a_bound(tmp_path: Path) -> None:
    """Twice as many as replicas may be open, whether something came over them or not."""
    async with running_monitor(tmp_path, max_replicas=1) as monitor:
        first, second = monitor.stub.ReportTelemetry(), monitor.stub.ReportTelemetry()
        for number, stream in enumerate((first, second), start=1):
            await stream.write(pb.ReportTelemetryRequest(report=report("a", number)))
            assert number == (await stream.read()).sequence
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await monitor.send([report("a", 3)])
        second.cancel()
        error = status.error_from_rpc(caught.value)
        await first.done_writing()
        assert grpc.aio.EOF is await first.read()
        assert [3] == await monitor.send([report("a", 3)])
    assert ("TOO_MANY_REPLICAS", "max_replicas") == (error.reason, error.facts["setting"])


@pytest.mark.parametrize("large", [False, True])
def test_a_large_report_is_read_as_a_small_one(tmp_path: Path, large: bool) -> None:
    """Whether it is read at once or piece by piece, a report says the same, and so do its refusals."""
    several = [plain(number) for number in range(90 if large else 3)]
    good = report("a", 1, *several)
    wrong = report("a", 2, *several, telemetry_pb2.VersionTelemetry(model="m" * 129))
    nobody = report("", 3, *several)
    with Served(tmp_path, max_report_versions=100).running() as monitor:
        assert [1] == monitor.send(good)
        for bad, field in ((wrong, f"versions[{len(several)}].model"), (nobody, "replica")):
            error = refusal_of(partial(monitor.send, bad))
            assert isinstance(error, errors.InvalidArgument)
            assert ("INVALID_REPORT", [field]) == (
                error.reason,
                [each.field for each in error.violations],
            )
        answer = monitor.stub.QueryStatistics(pb.QueryStatisticsRequest())
    assert len(several) == len(answer.statistics)
    assert {29} == {each.success_count for each in answer.statistics}
    assert (good.ByteSize() > 16 * 1024) == large


OVERSIZED: dict[str, tuple[telemetry_pb2.TelemetryReport, str]] = {
    "versions by the hundred thousand": (
        report("a", 1, *[telemetry_pb2.VersionTelemetry()] * 300_000),
        "REPORT_TOO_LARGE",
    ),
    "one version of a megabyte": (
        report("a", 1, telemetry_pb2.VersionTelemetry(model="m" * MIB)),
        "INVALID_REPORT",
    ),
    "a name of a megabyte": (report("r" * MIB, 1), "INVALID_REPORT"),
}


@pytest.mark.parametrize(("sent", "reason"), OVERSIZED.values(), ids=OVERSIZED)
def test_what_is_too_large_is_refused_before_it_is_parsed(
    tmp_path: Path, sent: telemetry_pb2.TelemetryReport, reason: str
) -> None:
    """Too many versions, a version or a head with too many bytes: the caller's mistake, by its reason."""
    with Served(tmp_path).running() as monitor:
        assert reason == refusal_of(lambda: monitor.send(sent)).reason


def test_a_message_over_four_mebibytes_is_refused(tmp_path: Path) -> None:
    """gRPC refuses it by its announced length."""
    too_large = report("a", 1, *map(with_many_names, range(32)))
    with Served(tmp_path).running() as monitor, pytest.raises(grpc.RpcError) as caught:
        monitor.send(too_large)
    assert grpc.StatusCode.RESOURCE_EXHAUSTED is caught.value.code()
