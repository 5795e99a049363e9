"""A client of several addresses: calls are spread, and go elsewhere from what fails or hangs."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import pytest

from headrace import AsyncClient, Client, errors
from headrace.client import ClientSettings
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.registry.v1 import model_pb2, registry_service_pb2, registry_service_pb2_grpc
from tests.rpc.client_fixtures import open_services

X = {"x": np.ones((1, 2), np.float32)}
TRY_SECONDS = 0.2


class Replica(pb_grpc.GRPCInferenceServiceServicer):
    """Answers, after a while or with failures if told to; counts the calls."""

    def __init__(self, seconds: float = 0.0, *failures: errors.HeadraceError) -> None:
        self.calls = 0
        self._seconds = seconds
        self._failures = list(failures)

    async def ModelInfer(self, request: Any, context: Any) -> pb.ModelInferResponse:
        """One output."""
        self.calls += 1
        if self._failures:
            raise self._failures.pop()
        await asyncio.sleep(self._seconds)
        answer = pb.ModelInferResponse(model_name=request.model_name, model_version="1")
        answer.outputs.add(name="y", datatype="FP32", shape=[1])
        answer.raw_output_contents.append(bytes(4))
        return answer


class Registry(registry_service_pb2_grpc.RegistryServiceServicer):
    """Counts the calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.watches: list[int] = []

    async def WatchChanges(
        self, request: Any, context: Any
    ) -> AsyncIterator[registry_service_pb2.WatchChangesResponse]:
        """One change, then nothing."""
        self.watches.append(request.start_revision)
        yield registry_service_pb2.WatchChangesResponse(
            revision=request.start_revision + 1, kind="model.create"
        )
        await asyncio.Event().wait()

    async def GetModel(self, request: Any, context: Any) -> model_pb2.Model:
        """A model of that name."""
        self.calls += 1
        return model_pb2.Model(name=request.name)


def at(*ports: int) -> str:
    """These ports of this machine as one setting."""
    return ",".join(f"127.0.0.1:{port}" for port in ports)


def nobody() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@asynccontextmanager
async def hanging() -> AsyncIterator[int]:
    """A port that takes connections and never says a word, as that of a stopped process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@asynccontextmanager
async def client_of(*ports: int, **changes: Any) -> AsyncIterator[AsyncClient]:
    """A client of replicas at these ports."""
    given: dict[str, Any] = {"timeout_seconds": 10.0, "try_seconds": TRY_SECONDS}
    settings = ClientSettings(inference=at(*ports), **given | changes)
    async with AsyncClient(settings=settings) as client:
        yield client


async def test_calls_are_spread() -> None:
    """Over all addresses, those that come at once and those that come one by one."""
    first, second = Replica(0.01), Replica(0.01)
    async with (
        open_services(first) as one,
        open_services(second) as two,
        client_of(one, two) as client,
    ):
        await asyncio.gather(*(client.infer("m", X) for _ in range(40)))
        together = first.calls, second.calls
        for _ in range(10):
            await client.infer("m", X)

    assert (20, 20) == together
    assert (25, 25) == (first.calls, second.calls)


async def test_calls_go_past_an_address_where_nobody_is() -> None:
    """At once, and few try it again."""
    replica = Replica()
    async with open_services(replica) as port, client_of(nobody(), port) as client:
        started = time.monotonic()
        for _ in range(20):
            await client.infer("m", X)
        took = time.monotonic() - started

    assert 20 == replica.calls
    assert took < 2.0


async def test_a_version_that_one_replica_has_not_is_asked_of_another() -> None:
    """Whatever delay the first one wished for."""
    not_ready = errors.Unavailable("VERSION_NOT_READY", "not yet", retry_after_seconds=60.0)
    first, second = Replica(0.0, not_ready), Replica(0.0, not_ready)
    async with (
        open_services(first) as one,
        open_services(second) as two,
        client_of(one, two) as client,
    ):
        second._failures.clear()
        answers = [await client.infer("m", X) for _ in range(4)]

    assert 4 == len(answers)
    assert 5 == first.calls + second.calls


async def test_calls_go_elsewhere_from_a_replica_that_hangs() -> None:
    """Soon, each call that it took, and later ones at once."""
    replica = Replica()
    async with hanging() as mute, open_services(replica) as port, client_of(mute, port) as client:
        started = time.monotonic()
        await asyncio.gather(*(client.infer("m", X) for _ in range(10)))
        found_out = time.monotonic() - started
        started = time.monotonic()
        await asyncio.gather(*(client.infer("m", X) for _ in range(10)))
        later = time.monotonic() - started

    assert 20 == replica.calls
    assert TRY_SECONDS < found_out < 20 * TRY_SECONDS
    assert later < TRY_SECONDS


async def test_a_replica_that_is_slow_and_alive_is_waited_for() -> None:
    """A model that runs for long is run once."""
    replicas = Replica(6 * TRY_SECONDS), Replica(6 * TRY_SECONDS)
    async with (
        open_services(replicas[0]) as one,
        open_services(replicas[1]) as two,
        client_of(one, two) as client,
    ):
        await client.infer("m", X)

    assert 1 == replicas[0].calls + replicas[1].calls


async def test_where_all_hang_the_error_says_so() -> None:
    """With the address, within the deadline."""
    async with hanging() as one, hanging() as two, client_of(one, two) as client:
        given_up = (errors.Unavailable, errors.DeadlineExceeded)
        with pytest.raises(given_up, match="not even whether it lives") as caught:
            await client.infer("m", X, timeout_seconds=1.5)

    assert caught.value.facts["address"] in {at(one), at(two)}


async def test_a_registry_is_called_at_the_first_address_that_answers() -> None:
    """Each has only what was pushed to it, so calls are not spread."""
    first, second = Registry(), Registry()
    async with open_services(first) as one, open_services(second) as two:
        async with AsyncClient(registry=at(one, two)) as client:
            for _ in range(4):
                await client.model("m")
        async with AsyncClient(registry=at(nobody(), two)) as client:
            await client.model("m")

    assert (4, 1) == (first.calls, second.calls)


class Relay:
    """A network before a server, which can lose all that it is given from now on."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self._whole = asyncio.Event()
        self._whole.set()

    def tear(self) -> None:
        """Bring nothing more, in either direction, and tell nobody."""
        self._whole.clear()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes on this connection."""
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += (back, writer)
        await asyncio.gather(self._pass_on(reader, back), self._pass_on(there, writer))

    async def _pass_on(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                await self._whole.wait()
                to.write(data)
                await to.drain()

    async def end(self) -> None:
        """Close all connections."""
        self._whole.set()
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def relay(port: int) -> AsyncIterator[tuple[Relay, int]]:
    """A relay before this port, and its own, while inside."""
    relaying = Relay(port)
    server = await asyncio.start_server(relaying.connected, "127.0.0.1", 0)
    try:
        yield relaying, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await relaying.end()


async def test_a_watch_goes_elsewhere_from_a_registry_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Silence is usual for a watch: the server is asked whether it lives, and left only if not."""
    monkeypatch.setattr("headrace.client.calls.WATCH_SECONDS", TRY_SECONDS)
    first, second = Registry(), Registry()
    async with (
        open_services(first) as one,
        open_services(second) as two,
        relay(one) as (network, port),
    ):
        settings = ClientSettings(registry=at(port, two), try_seconds=TRY_SECONDS)
        async with AsyncClient(settings=settings) as client, asyncio.timeout(20):
            watch = client.watch(7)
            revisions = [(await anext(watch)).revision]
            network.tear()
            revisions.append((await anext(watch)).revision)
            await watch.aclose()
        watched = first.watches, second.watches

    assert [8, 9] == revisions
    assert ([7], [8]) == watched


async def test_a_watch_that_is_silent_and_alive_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It goes on where it is."""
    monkeypatch.setattr("headrace.client.calls.WATCH_SECONDS", TRY_SECONDS)
    first, second = Registry(), Registry()
    async with open_services(first) as one, open_services(second) as two:
        settings = ClientSettings(registry=at(one, two), try_seconds=TRY_SECONDS)
        async with AsyncClient(settings=settings) as client:
            watch = client.watch(7)
            await anext(watch)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5 * TRY_SECONDS):
                    await anext(watch)
        watched = first.watches, second.watches

    assert ([7], []) == watched


async def test_the_client_without_a_loop_does_the_same() -> None:
    """From several threads."""
    first, second = Replica(0.01), Replica(0.01)

    def use(addresses: str) -> None:
        with Client(inference=addresses) as client:
            for _ in range(10):
                client.infer("m", X)

    async with open_services(first) as one, open_services(second) as two:
        await asyncio.to_thread(use, at(one, two))

    assert (5, 5) == (first.calls, second.calls)
