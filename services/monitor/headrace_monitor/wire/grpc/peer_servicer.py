"""The RPC method by which monitors ask one another."""

from __future__ import annotations

from typing import Protocol, cast

import grpc

from headrace.monitor.v1 import peer_service_pb2, peer_service_pb2_grpc
from headrace.service.method_table import Methods, with_methods_changed
from headrace_monitor.domain.queries.query_engine import QueryEngine
from headrace_monitor.wire.grpc import peer_convert


def register(servicer: PeerServicer, server: grpc.aio.Server) -> None:
    """Add the method; its answers go as bytes."""
    table = with_methods_changed(server, _with_bytes_out)
    peer_service_pb2_grpc.add_PeerServiceServicer_to_server(servicer, table)


class PeerServicer(peer_service_pb2_grpc.PeerServiceServicer):
    """Hands questions of other monitors to the query engine."""

    def __init__(self, query_engine: QueryEngine) -> None:
        self._query_engine = query_engine

    async def QueryTallies(  # type: ignore[override]  # bytes go out
        self, request: peer_service_pb2.QueryTalliesRequest, context: object
    ) -> bytes:
        """Answer with what this monitor alone was told."""
        query, steps = peer_convert.question_from_proto(request)
        found = await self._query_engine.own(query, steps)
        return await self._query_engine.run_in_thread(lambda: peer_convert.answer_to_bytes(found))


class _Replaceable(Protocol):
    """A handler as it is in the generated table: a named tuple."""

    def _replace(self, **changes: object) -> grpc.RpcMethodHandler[bytes, bytes]: ...


def _with_bytes_out(methods: Methods) -> Methods:
    handlers = cast("dict[str, _Replaceable]", methods)
    return {name: handler._replace(response_serializer=None) for name, handler in handlers.items()}
