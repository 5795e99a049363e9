"""What the clients make of answers that are none: from other servers, proxies, and other ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from aiohttp import web

from headrace import errors
from headrace.client import AsyncClient, Client
from headrace.inference import grpc_service_pb2
from headrace.registry.v1 import model_pb2, registry_service_pb2, version_pb2
from headrace.type.v1 import signature_pb2
from tests.rpc.client_fixtures import settings_for

NO_MESSAGE = b"\x0a\x7fshort"
"""A field that says it has more bytes than there are."""

X = {"x": np.ones(1, np.float32)}
Call = Callable[[AsyncClient], Coroutine[Any, Any, Any]]


async def first(items: AsyncIterator[Any]) -> Any:
    """The first item of a stream."""
    return await anext(items)


CALLS: dict[str, Call] = {
    "infer": lambda client: client.infer("m", X),
    "infer with lists": lambda client: client.infer("m", {"x": [1.0]}),
    "model_metadata": lambda client: client.model_metadata("m"),
    "server_live": lambda client: client.server_live(),
    "server_ready": lambda client: client.server_ready(),
    "model_ready": lambda client: client.model_ready("m"),
    "repository_index": lambda client: client.repository_index(),
    "create_model": lambda client: client.create_model("m"),
    "model": lambda client: client.model("m"),
    "models": lambda client: client.models(),
    "update_model": lambda client: client.update_model("m", description="d"),
    "revision": lambda client: client.revision(),
    "delete_model": lambda client: client.delete_model("m"),
    "push": lambda client: client.push("m", b"graph"),
    "version": lambda client: client.version("m", 1),
    "versions": lambda client: client.versions("m"),
    "delete_version": lambda client: client.delete_version("m", 1),
    "aliases": lambda client: client.aliases("m"),
    "alias": lambda client: client.alias("m", "a", 1),
    "set_aliases": lambda client: client.set_aliases("m", {"a": 1}),
    "delete_alias": lambda client: client.delete_alias("m", "a"),
    "route": lambda client: client.route("m"),
    "set_route": lambda client: client.set_route("m", 1),
    "replicas": lambda client: client.replicas(),
    "wait_until_ready": lambda client: client.wait_until_ready("m", "a"),
    "watch": lambda client: first(client.watch()),
    "statistics": lambda client: client.statistics(),
    "watch_statistics": lambda client: first(client.watch_statistics()),
}

_TENSOR = signature_pb2.TensorSpec(name="x", data_type=99)  # type: ignore[arg-type]
_LATENCY = {"p50": {"seconds": 2**62, "nanos": 2**31 - 1}}
MISFITS: list[tuple[str, Any]] = [
    ("infer", grpc_service_pb2.ModelInferResponse()),
    ("infer", grpc_service_pb2.ModelInferResponse(outputs=[{"name": "y", "datatype": "FP33"}])),
    ("model_metadata", grpc_service_pb2.ModelMetadataResponse(inputs=[{"datatype": "FP33"}])),
    ("repository_index", grpc_service_pb2.RepositoryIndexResponse(models=[{"state": "ASLEEP"}])),
    ("model", model_pb2.Model(name="m")),
    ("models", registry_service_pb2.ListModelsResponse(models=[model_pb2.Model()])),
    ("version", version_pb2.Version(name="models/m/versions/1", signature={"inputs": [_TENSOR]})),
    ("push", version_pb2.Version()),
    ("aliases", registry_service_pb2.ListAliasesResponse(aliases=[{"name": "models/m"}])),
    ("route", version_pb2.Version(name="m")),
    ("replicas", _replicas := registry_service_pb2.ListReplicasResponse()),
    ("watch", registry_service_pb2.WatchChangesResponse(model={"name": "m"})),
]
_replicas.replicas.add(name="replicas/r").versions.add(version="models/m/versions/x")


@asynccontextmanager
async def answering(data: bytes) -> AsyncIterator[int]:
    """The port of a gRPC server that answers every call of every method with these bytes."""

    async def one(_: object, __: object) -> bytes:
        return data

    async def all_read(requests: AsyncIterator[bytes], _: object) -> bytes:
        async for _part in requests:
            pass
        return data

    async def stream(_: object, __: object) -> AsyncIterator[bytes]:
        yield data

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            if details.method.endswith("PushVersion"):
                return grpc.stream_unary_rpc_method_handler(all_read)
            if "/Watch" in details.method:
                return grpc.unary_stream_rpc_method_handler(stream)
            return grpc.unary_unary_rpc_method_handler(one)

    server = grpc.aio.server(handlers=(Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def reason_of(call: Awaitable[Any]) -> str:
    """The reason of the error that a call ends with."""
    with pytest.raises(errors.HeadraceError) as caught:
        await call
    return caught.value.reason


async def test_bytes_that_are_no_message_are_told_as_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever is called, the error is RESPONSE_MALFORMED, and no library logs a traceback."""
    async with (
        answering(NO_MESSAGE) as port,
        AsyncClient(settings=settings_for(port)) as client,
    ):
        found = {name: await reason_of(call(client)) for name, call in CALLS.items()}
    assert dict.fromkeys(CALLS, "RESPONSE_MALFORMED") == found
    assert [] == caplog.records


async def test_the_blocking_client_says_the_same() -> None:
    """The client without an event loop passes on what the other one says."""
    async with answering(NO_MESSAGE) as port:
        with Client(settings=settings_for(port)) as client:
            for call in (lambda: client.infer("m", X), lambda: next(client.watch())):
                assert "RESPONSE_MALFORMED" == await reason_of(asyncio.to_thread(call))


@pytest.mark.parametrize(("name", "message"), MISFITS)
async def test_messages_that_do_not_fit_are_told_as_that(name: str, message: Any) -> None:
    """Names of other shapes, unknown datatypes and states, tensors that are not there."""
    async with (
        answering(message.SerializeToString()) as port,
        AsyncClient(settings=settings_for(port)) as client,
    ):
        assert "RESPONSE_MALFORMED" == await reason_of(CALLS[name](client))


async def test_details_that_are_no_status_leave_the_code() -> None:
    """A failed call whose details cannot be decoded still says what code and message say."""

    async def fail(_: object, context: Any) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", NO_MESSAGE),))
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(fail)

    server = grpc.aio.server(handlers=(Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with AsyncClient(settings=settings_for(port)) as client:
            with pytest.raises(errors.NotFound, match="no such thing"):
                await client.model("m")
    finally:
        await server.stop(None)


@pytest.mark.parametrize("name", ["infer", "models", "push", "watch", "statistics"])
async def test_a_port_of_rest_is_told_as_that(name: str) -> None:
    """An HTTP/1.1 server where gRPC is expected: the error says so, and which port is meant, at once."""
    runner = web.AppRunner(web.Application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    usual = {"infer": 8001, "statistics": 8200}.get(name, 8100)
    try:
        async with AsyncClient(settings=settings_for(port)) as client:
            with pytest.raises(
                errors.FailedPrecondition, match=f"HTTP/1.1.*{usual} by default"
            ) as caught:
                await CALLS[name](client)
    finally:
        await runner.cleanup()
    assert ("PORT_NOT_GRPC", f"127.0.0.1:{port}") == (
        caught.value.reason,
        caught.value.facts["address"],
    )
