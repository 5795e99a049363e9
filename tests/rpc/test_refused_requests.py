"""What a refused request leaves behind on grpc.aio: nothing, at once."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import grpc
import pytest

from headrace.errors import InvalidArgument
from headrace.service.grpc_serving import open_grpc_server

CALLS = 5


class Request:
    """A request that can be watched."""


async def test_a_refused_request_is_let_go() -> None:
    """Requests that were refused are gone without the collector of cycles, which comes late or never."""
    seen: list[weakref.ref[Request]] = []

    def parse(_: bytes) -> Request:
        request = Request()
        seen.append(weakref.ref(request))
        return request

    async def refuse(request: Request, context: Any) -> bytes:
        raise InvalidArgument("REFUSED", f"no: {request}")

    def register(server: grpc.aio.Server) -> None:
        method: Any = grpc.unary_unary_rpc_method_handler(refuse, request_deserializer=parse)
        handler = grpc.method_handlers_generic_handler("test.Service", {"Refuse": method})
        server.add_generic_rpc_handlers((handler,))

    gc.collect()
    gc.disable()
    try:
        async with open_grpc_server("127.0.0.1:0", [], register, drain_seconds=0.0) as server:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                call: Any = channel.unary_unary("/test.Service/Refuse")
                for _ in range(CALLS):
                    with pytest.raises(grpc.aio.AioRpcError, match="no: "):
                        await call(b"", timeout=10)
            kept = [reference() for reference in seen[:-1] if reference() is not None]
    finally:
        gc.enable()
    assert (CALLS, []) == (len(seen), kept)
