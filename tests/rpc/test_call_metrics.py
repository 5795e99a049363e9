"""What a service's gRPC calls count, under the names that dashboards know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from headrace.errors import FailedPrecondition
from headrace.inference import grpc_service_pb2
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import monitor_service_pb2_grpc as pb_grpc
from headrace.registry.v1 import registry_service_pb2
from headrace.service.call_metrics import CallMetrics
from headrace.service.grpc_serving import open_grpc_server
from tests.rpc.grpc_fixtures import FRONTS, open_grpc_replica
from tests.rpc.monitors import NOW, report, running_monitor, telemetry
from tests.rpc.registry_fixtures import running_registry

SERVICE: Any = pb.DESCRIPTOR.services_by_name["MonitorService"]


class Behaving:
    """A service whose methods do what a test needs."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.left = asyncio.Event()
        """A call was given up."""

    async def QueryStatistics(self, request: Any, context: Any) -> Any:
        """Answer, refuse, break or wait, by the model asked for."""
        self.entered.set()
        if request.model == "refuse":
            raise FailedPrecondition("REFUSED", "no")
        if request.model == "break":
            raise ZeroDivisionError
        if request.model == "wait":
            await self._wait_for_ever()
        return pb.QueryStatisticsResponse()

    async def WatchStatistics(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """Two answers, and then those that never come, if asked."""
        yield pb.QueryStatisticsResponse()
        yield pb.QueryStatisticsResponse()
        if request.query.model == "wait":
            await self._wait_for_ever()

    async def ReportTelemetry(self, requests: AsyncIterator[Any], context: Any) -> Any:
        """As many answers as requests, and a refusal of the one that is numbered 3."""
        async for request in requests:
            if request.report.sequence == 3:
                raise FailedPrecondition("REFUSED", "no")
            yield pb.ReportTelemetryResponse(sequence=request.report.sequence)

    async def QuerySeries(self, request: Any, context: Any) -> Any:
        """Never called here."""
        raise NotImplementedError

    async def _wait_for_ever(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()


class Counted:
    """A server of that service, a stub of it, and what was counted."""

    def __init__(self, calls: CallMetrics, behaving: Behaving, channel: grpc.aio.Channel) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(calls)
        self.behaving = behaving
        self.channel = channel
        stub: Any = pb_grpc.MonitorServiceStub(channel)
        self.stub = stub

    def value(self, name: str, method: str, **labels: str) -> float | None:
        """What a series of a method says now."""
        for metric in self.registry.collect():
            for sample in metric.samples:
                wanted = {"grpc_service": SERVICE.full_name, "grpc_method": method} | labels
                if sample.name == name and wanted.items() <= sample.labels.items():
                    return float(sample.value)
        return None

    def codes(self, method: str) -> dict[str, float]:
        """By code, how many calls of a method ended."""
        return {
            sample.labels["grpc_code"]: sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == "grpc_server_handled_total"
            and sample.labels["grpc_method"] == method
            and sample.value
        }


@asynccontextmanager
async def counted(without: tuple[str, ...] = ()) -> AsyncIterator[Counted]:
    """The service, serving while inside."""
    calls, behaving = CallMetrics([SERVICE], without), Behaving()

    def register(server: grpc.aio.Server) -> None:
        servicer: Any = behaving
        pb_grpc.add_MonitorServiceServicer_to_server(servicer, server)

    async with (
        open_grpc_server("127.0.0.1:0", [], register, drain_seconds=0.0, calls=calls) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield Counted(calls, behaving, channel)


def query(model: str) -> pb.QueryStatisticsRequest:
    return pb.QueryStatisticsRequest(model=model)


async def test_errors_count_by_their_reason() -> None:
    """The reason that callers were told; a status that nobody gave a reason has its name."""
    async with counted() as server:
        for model in ("", "refuse", "refuse", "break"):
            await asyncio.gather(server.stub.QueryStatistics(query(model)), return_exceptions=True)
        raw: Any = server.channel.unary_unary(f"/{SERVICE.full_name}/QueryStatistics")
        with pytest.raises(grpc.aio.AioRpcError):
            await raw(b"\xff\xff")
        call = server.stub.QueryStatistics(query("wait"))
        server.behaving.entered.clear()
        await server.behaving.entered.wait()
        call.cancel()
        await server.behaving.left.wait()
        assert {"REFUSED": 2, "INTERNAL": 1, "MALFORMED_REQUEST": 1, "CANCELLED": 1} == {
            sample.labels["reason"]: sample.value
            for metric in server.registry.collect()
            for sample in metric.samples
            if sample.name == "headrace_call_errors_total"
        }


async def test_calls_count_by_their_status() -> None:
    """A good call, a refusal, a bug and bytes that are no message each count as what they ended with."""
    async with counted() as server:
        for model in ("", "", "refuse", "break"):
            await asyncio.gather(server.stub.QueryStatistics(query(model)), return_exceptions=True)
        raw: Any = server.channel.unary_unary(f"/{SERVICE.full_name}/QueryStatistics")
        with pytest.raises(grpc.aio.AioRpcError):
            await raw(b"\xff\xff")
        codes = server.codes("QueryStatistics")
        messages = [
            server.value(f"grpc_server_msg_{way}_total", "QueryStatistics")
            for way in ("received", "sent")
        ]
        started = server.value("grpc_server_started_total", "QueryStatistics", grpc_type="unary")
    assert {"OK": 2, "FailedPrecondition": 1, "Internal": 1, "InvalidArgument": 1} == codes
    assert ([5, 2], 5) == (messages, started)


async def test_calls_that_nobody_waits_for_count_as_such() -> None:
    """A caller that goes makes a call Canceled, one whose time is up makes it DeadlineExceeded."""
    async with counted() as server:
        call = server.stub.QueryStatistics(query("wait"))
        await server.behaving.entered.wait()
        call.cancel()
        await server.behaving.left.wait()
        server.behaving.left.clear()
        with pytest.raises(grpc.aio.AioRpcError):
            await server.stub.QueryStatistics(query("wait"), timeout=0.2)
        await server.behaving.left.wait()
        assert {"Canceled": 1, "DeadlineExceeded": 1} == server.codes("QueryStatistics")


async def test_streams_count_with_their_messages() -> None:
    """Streams of each kind count once, with every message, however they end."""
    requests = [pb.ReportTelemetryRequest(report={"sequence": number}) for number in (1, 2, 3)]
    async with counted() as server:
        assert 2 == len(
            [each async for each in server.stub.WatchStatistics(pb.WatchStatisticsRequest())]
        )
        with pytest.raises(grpc.aio.AioRpcError):
            assert [each async for each in server.stub.ReportTelemetry(iter(requests))]
        watch = server.stub.WatchStatistics(pb.WatchStatisticsRequest(query=query("wait")))
        await watch.read()
        watch.cancel()
        await server.behaving.left.wait()
        codes = [server.codes(method) for method in ("WatchStatistics", "ReportTelemetry")]
        received = server.value(
            "grpc_server_msg_received_total", "ReportTelemetry", grpc_type="bidi_stream"
        )
        sent = server.value("grpc_server_msg_sent_total", "ReportTelemetry")
    assert [{"OK": 1, "Canceled": 1}, {"FailedPrecondition": 1}] == codes
    assert (3, 2) == (received, sent)


async def test_how_long_calls_take_is_a_histogram() -> None:
    """Every call is in one bucket, buckets add up to the count, and the sum is of seconds."""
    async with counted() as server:
        for _ in range(3):
            await server.stub.QueryStatistics(query(""))
        with pytest.raises(grpc.aio.AioRpcError):
            await server.stub.QueryStatistics(query("wait"), timeout=0.3)
        await server.behaving.left.wait()
        name = "grpc_server_handling_seconds"
        counts = [
            server.value(f"{name}_bucket", "QueryStatistics", le=edge)
            for edge in ("0.1", "1.0", "+Inf")
        ]
        seconds = server.value(f"{name}_sum", "QueryStatistics")
    assert [3, 4, 4] == counts
    assert seconds is not None
    assert 0.2 < seconds < 5


async def test_callers_add_no_series() -> None:
    """Every method is there from the start; unknown methods and other services add nothing."""
    async with counted() as server:
        before = {
            (sample.name, *sorted(sample.labels.items()))
            for metric in server.registry.collect()
            for sample in metric.samples
        }
        for path in (f"/{SERVICE.full_name}/Nothing", "/none.Such/Method"):
            call: Any = server.channel.unary_unary(path)
            with pytest.raises(grpc.aio.AioRpcError):
                await call(b"")
        health: Any = health_pb2_grpc.HealthStub(server.channel)
        await health.Check(health_pb2.HealthCheckRequest())
        after = {
            (sample.name, *sorted(sample.labels.items()))
            for metric in server.registry.collect()
            for sample in metric.samples
        }
    assert before == after
    assert 4 == len([series for series in before if series[0] == "grpc_server_handled_total"])


async def test_a_method_can_be_left_out() -> None:
    """A method that has statistics of its own is not counted twice."""
    async with counted((f"/{SERVICE.full_name}/QueryStatistics",)) as server:
        await server.stub.QueryStatistics(query(""))
        assert server.value("grpc_server_started_total", "QueryStatistics") is None
        assert 0 == server.value("grpc_server_started_total", "QuerySeries")


async def test_the_monitor_shows_its_calls(tmp_path: Path) -> None:
    """The monitor's page of metrics has its calls beside what replicas reported."""
    async with running_monitor(tmp_path) as monitor:
        await monitor.send([report("a", 1, telemetry([5]), end_ns=NOW)])
        await monitor.query()
        _, page = await monitor.get("/metrics")
    method = 'grpc_method="QueryStatistics",grpc_service="headrace.monitor.v1.MonitorService"'
    assert f'grpc_server_handled_total{{grpc_code="OK",{method},grpc_type="unary"}} 1.0' in page
    assert "headrace_requests_total" in page


async def test_the_registry_shows_its_calls(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """The registry's page of metrics has its calls, refused ones by their code."""
    async with running_registry(redis_url, namespace, tmp_path) as registry:
        with pytest.raises(grpc.aio.AioRpcError):
            await registry.stub.GetModel(registry_service_pb2.GetModelRequest(name="models/no"))
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://{registry.http_address}/metrics") as answer,
        ):
            page = await answer.text()
    method = 'grpc_method="GetModel",grpc_service="headrace.registry.v1.RegistryService"'
    assert (
        f'grpc_server_handled_total{{grpc_code="NotFound",{method},grpc_type="unary"}} 1.0' in page
    )


@pytest.mark.parametrize("front", FRONTS)
async def test_a_replica_shows_the_calls_that_infer_nothing(front: str, tmp_path: Path) -> None:
    """On both fronts the same methods are counted: all but those whose requests are counted by version."""
    async with open_grpc_replica(tmp_path, front=front) as replica:
        await replica.stub.ServerLive(grpc_service_pb2.ServerLiveRequest())
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://{replica.metrics_address}/metrics") as answer,
        ):
            families = {
                family.name: family.samples
                for family in text_string_to_metric_families(await answer.text())
            }
    handled = {
        sample.labels["grpc_method"]: sample.value for sample in families["grpc_server_handled"]
    }
    assert (18, 1, 0) == (len(handled), handled["ServerLive"], handled["ModelConfig"])
    assert not {"ModelInfer", "ModelStreamInfer"} & set(handled)
