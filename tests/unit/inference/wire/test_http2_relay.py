"""Calls that the endpoint of streams hands on: a real server of grpc.aio answers, and real clients call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from headrace.addresses import NO_PROXY, unix_target
from tests.unit.inference.wire.stream_endpoints import Endpoint, running_endpoint

BYTES = 3 * 2**20
"""More than the windows of streams and of a connection before it is told of more."""


class Others(grpc.GenericRpcHandler):
    """Methods of every kind on bytes."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.metadata: dict[str, str | bytes] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The method that is asked for."""
        name = handler_call_details.method.rpartition("/")[2]
        if name == "Echo":
            return grpc.unary_unary_rpc_method_handler(self._echo)
        if name == "EchoAll":
            return grpc.stream_stream_rpc_method_handler(self._echo_all)
        if name == "Fail":
            return grpc.unary_unary_rpc_method_handler(self._fail)
        return grpc.unary_unary_rpc_method_handler(self._wait) if name == "Wait" else None

    async def _echo(self, request: bytes, context: Any) -> bytes:
        self.metadata = dict(context.invocation_metadata())
        await context.send_initial_metadata((("begun", "yes"),))
        context.set_trailing_metadata((("ended-bin", b"\0\xff"),))
        return request

    async def _echo_all(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    async def _fail(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.DATA_LOSS, "ü, as it is", (("why", "no"),))
        raise AssertionError

    async def _wait(self, request: bytes, context: Any) -> bytes:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b""


@asynccontextmanager
async def relayed(endpoint: Endpoint) -> AsyncIterator[tuple[Any, Others, grpc.aio.Server]]:
    """A channel to the endpoint, and the server behind it."""
    options = [("grpc.max_receive_message_length", -1), NO_PROXY]
    server, others = grpc.aio.server(options=options), Others()
    server.add_generic_rpc_handlers((others,))
    server.add_insecure_port(unix_target(endpoint.others))
    await server.start()
    try:
        async with grpc.aio.insecure_channel(unix_target(endpoint.path), options) as channel:
            yield channel, others, server
    finally:
        await server.stop(0)


@pytest.mark.parametrize("size", [0, 1, 65_536, BYTES])
async def test_a_call_passes_with_all_that_belongs_to_it(size: int) -> None:
    """Its message, its metadata, and those of its answer, both ways."""
    async with running_endpoint() as endpoint, relayed(endpoint) as (channel, others, _):
        call = channel.unary_unary("/any/Echo")(bytes(size), metadata=(("key-bin", b"\xff"),))
        answer = await call
        begun, ended = await call.initial_metadata(), await call.trailing_metadata()
    assert bytes(size) == answer
    assert b"\xff" == others.metadata["key-bin"]
    assert ("yes", b"\0\xff") == (dict(begun)["begun"], dict(ended)["ended-bin"])


async def test_streams_of_other_methods_pass() -> None:
    """Message by message, and many calls on one connection."""
    sent = [bytes([number]) * 50_000 for number in range(100)]
    async with running_endpoint() as endpoint, relayed(endpoint) as (channel, _, _):
        call = channel.stream_stream("/any/EchoAll")
        found = await asyncio.gather(*(_all(call(iter(sent))) for _ in range(3)))
    assert [sent] * 3 == found


async def _all(call: Any) -> list[bytes]:
    return [message async for message in call]


@pytest.mark.parametrize(
    ("method", "status", "text"),
    [("Fail", "DATA_LOSS", "ü, as it is"), ("None", "UNIMPLEMENTED", "Method not found!")],
)
async def test_errors_pass(method: str, status: str, text: str) -> None:
    """The server's own words, also for methods that it does not have."""
    async with running_endpoint() as endpoint, relayed(endpoint) as (channel, _, _):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/any/{method}")(b"")
    assert (status, text) == (caught.value.code().name, caught.value.details())


async def test_a_cancelled_call_is_cancelled_there() -> None:
    """Whoever runs it hears of it."""
    async with running_endpoint() as endpoint, relayed(endpoint) as (channel, others, _):
        call = channel.unary_unary("/any/Wait")(b"")
        await channel.unary_unary("/any/Echo")(b"")
        call.cancel()
        async with asyncio.timeout(10):
            await others.cancelled.wait()


async def test_without_the_other_server_calls_are_told_so() -> None:
    """With a status on which clients try elsewhere; and when it is there, they are answered."""
    async with running_endpoint() as endpoint:
        alone: Any = grpc.aio.insecure_channel(unix_target(endpoint.path), [NO_PROXY])
        async with alone as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary("/any/Echo")(b"")
            async with relayed(endpoint):
                assert b"1" == await channel.unary_unary("/any/Echo")(b"1")
    assert grpc.StatusCode.UNAVAILABLE == caught.value.code()


async def test_a_call_whose_server_goes_is_cut_off() -> None:
    """Its caller does not wait."""
    async with running_endpoint() as endpoint, relayed(endpoint) as (channel, _, server):
        waiting = channel.unary_unary("/any/Wait")(b"")
        await channel.unary_unary("/any/Echo")(b"")
        await server.stop(0)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await waiting
    assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
