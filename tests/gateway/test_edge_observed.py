"""What a gateway tells of requests, and how it bears changes: of settings, of Envoy, of the registry."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from headrace import errors
from headrace.gateway.config.places import Places
from tests.gateway.envoy import needs_envoy
from tests.gateway.fixtures import (
    flowing,
    infer,
    request,
    running_gateway,
    served,
    stream_infer,
)

pytestmark = needs_envoy

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Collector(grpc.GenericRpcHandler):
    """An OTLP collector that keeps the bytes of what it is sent."""

    def __init__(self) -> None:
        self.came = asyncio.Queue[bytes]()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """The one method."""

        async def export(message: bytes, _: object) -> bytes:
            self.came.put_nowait(message)
            return b""

        return grpc.unary_unary_rpc_method_handler(export) if details.method == EXPORT else None


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[str, Collector]]:
    """A collector's address, and what came to it."""
    collector, server = Collector(), grpc.aio.server()
    server.add_generic_rpc_handlers([collector])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}", collector
    finally:
        await server.stop(0)


@pytest.mark.toolchain
async def test_spans_of_requests_arrive_at_a_collector(redis_url: str, tmp_path: Path) -> None:
    """In the caller's own trace, and under the gateway's name."""
    async with (
        collecting() as (address, collector),
        served(redis_url, tmp_path, otlp_address=address) as edge,
        edge.channel as channel,
    ):
        metadata = (("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"), ("x-request-id", "traced"))
        await infer(channel)(request(), metadata=metadata)
        async with asyncio.timeout(20):
            spans = await collector.came.get()
            while bytes.fromhex(TRACE) not in spans:
                spans = await collector.came.get()
        onward = (await edge.headers_of("traced"))["traceparent"]
    assert b"headrace-gateway" in spans
    assert TRACE == onward.split("-")[1]


@pytest.mark.toolchain
async def test_other_settings_take_over_without_a_failed_call(
    redis_url: str, tmp_path: Path
) -> None:
    """A new Envoy takes the port from the old one; what Envoy refuses changes nothing."""
    file = tmp_path / "gateway.toml"
    file.write_text("")
    async with served(redis_url, tmp_path) as edge, flowing(edge) as told:
        running = edge.gateway.edge
        first = running.pid
        refused = replace(
            running.settings, access_log="all", access_log_file=tmp_path / "no" / "such"
        )
        with pytest.raises(errors.FailedPrecondition) as raised:
            await running.take(refused)
        assert ("GATEWAY_REFUSED", first) == (raised.value.reason, running.pid)
        await running.take(replace(running.settings, max_requests_per_second=100_000))
        assert first != running.pid
        before = told["OK"]
        async with asyncio.timeout(20):
            while told["OK"] < before + 200:  # noqa: ASYNC110 - of other tasks
                await asyncio.sleep(0.01)
    assert {"OK"} == set(told)


@pytest.mark.toolchain
async def test_an_envoy_that_was_killed_is_back_on_its_port(redis_url: str, tmp_path: Path) -> None:
    """Callers wait for a moment; nobody else can take the port meanwhile."""
    async with served(redis_url, tmp_path) as edge, edge.channel as channel:
        killed = edge.gateway.edge.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        answer = await infer(channel)(request(), wait_for_ready=True, timeout=20)
        while edge.gateway.edge.pid in (killed, None):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    assert "add" == answer.model_name


async def test_replicas_known_last_are_called_while_the_registry_is_away(
    redis_url: str, tmp_path: Path
) -> None:
    """Also by a gateway that was started meanwhile; and it says that it does not follow."""
    async with served(redis_url, tmp_path) as edge:
        data = edge.folder / "gateway"
        beside = tmp_path / "beside"
        shutil.copytree(data, beside, ignore=shutil.ignore_patterns("lock"))
        async with running_gateway("127.0.0.1:1", beside) as gateway:
            async with grpc.aio.insecure_channel(gateway.address) as channel:
                answer = await infer(channel)(request(), timeout=10)
            problem = gateway.follower.problem
        assert gateway_memory(data).exists()
    assert ("add", True) == (answer.model_name, bool(problem))
    assert [False, False] == [gateway_memory(folder).exists() for folder in (data, beside)]


def gateway_memory(data: Path) -> Path:
    """The memory that Envoys of a gateway share."""
    return Places(data, data).shared_memory


@pytest.mark.toolchain
async def test_a_changed_file_of_settings_is_taken_and_a_bad_one_is_not(
    redis_url: str, tmp_path: Path
) -> None:
    """One call a second from now on: the next is refused as exhausted, over gRPC and REST."""
    file = tmp_path / "gateway.toml"
    file.write_text("max_requests_per_second = 0\n")
    async with served(redis_url, tmp_path, settings_file=file) as edge:
        running = edge.gateway.edge
        file.write_text("max_requests_per_second = -1\n")
        async with asyncio.timeout(20):
            while not running.refusals:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        assert 0 == running.handovers
        file.write_text("max_requests_per_second = 1\n")
        async with asyncio.timeout(20):
            while not running.handovers:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        async with edge.channel as channel, aiohttp.ClientSession(edge.url) as session:
            told = Counter([await outcome(infer(channel)(request())) for _ in range(5)])
            answers = [await session.get("/v2/health/ready") for _ in range(5)]
            words = {await one.text() for one in answers if one.status == 429}
    assert told["RESOURCE_EXHAUSTED"] >= 3
    assert {True} == {"max_requests_per_second" in text for text in words}


@pytest.mark.toolchain
async def test_connections_of_a_certain_age_end_without_a_failed_call(
    redis_url: str, tmp_path: Path
) -> None:
    """Their clients are told to connect anew, and what is in flight ends first: a stream goes on."""
    async with (
        served(redis_url, tmp_path, max_connection_age_seconds=0.3) as edge,
        edge.channel as channel,
    ):
        stream: Any = stream_infer(channel)()
        await stream.write(request())
        await stream.read()
        admin = edge.gateway.edge.admin
        assert admin is not None
        told: Counter[str] = Counter()
        ended = re.compile(
            rb"envoy_http_downstream_cx_max_duration_reached\{[^}]*edge[^}]*\} (\d+)"
        )
        async with asyncio.timeout(20):
            while not any(int(count) for count in ended.findall(await admin.metrics())):
                told[await outcome(infer(channel)(request(), timeout=10))] += 1
        await stream.write(request())
        answered = await stream.read()
        await stream.done_writing()
    assert ({"OK"}, [1, 4]) == (set(told), list(answered.infer_response.outputs[0].shape))


@pytest.mark.toolchain
async def test_the_log_can_be_moved_away(redis_url: str, tmp_path: Path) -> None:
    """On SIGUSR1 a new file is begun."""
    log, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    more: dict[str, Any] = {"access_log": "all", "access_log_file": log}
    async with served(redis_url, tmp_path, **more) as edge, edge.channel as channel:
        log.rename(moved)
        os.kill(os.getpid(), signal.SIGUSR1)
        await infer(channel)(request())
        async with asyncio.timeout(20):
            while not log.exists() or "ModelInfer" not in log.read_text():
                await asyncio.sleep(0.05)
                await infer(channel)(request())


async def outcome(call: Any) -> str:
    """OK, or the status of a call."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"
