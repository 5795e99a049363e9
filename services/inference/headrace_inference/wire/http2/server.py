"""Opens the endpoint behind the native front: it answers streams, and hands on everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from headrace.service.serving import Background, open_background
from headrace_inference.wire.http2 import frames
from headrace_inference.wire.http2.call_headers import value_of
from headrace_inference.wire.http2.connection import Connection
from headrace_inference.wire.http2.relay import RelayedStream
from headrace_inference.wire.http2.stream import Header, Stream
from headrace_inference.wire.http2.stream_call import StreamCall
from headrace_inference.wire.streams.session import StreamService

MODEL_STREAM_INFER = b"/inference.GRPCInferenceService/ModelStreamInfer"


@dataclass(slots=True)
class _Endpoint:
    """What all connections share."""

    service: StreamService
    others_path: str
    """The socket of the server that everything else is handed on to."""
    jobs: Background
    connections: set[_FrontConnection] = field(default_factory=set)

    async def stop_streams(self) -> None:
        """End all streams when the service stops, once what came is answered."""
        await self.service.options.stopping.wait()
        for connection in self.connections:
            connection.stop_streams()


class _OthersConnection(Connection):
    """A connection to the server that answers everything else."""

    def __init__(self) -> None:
        super().__init__(is_client=True)
        self._next = 1

    @property
    def takes_more(self) -> bool:
        """Tell whether another stream may be opened."""
        return not self.is_leaving and self._next < frames.MAX_WINDOW

    def open(self) -> RelayedStream:
        """Open a stream, which begins with the headers that are sent on it."""
        stream = RelayedStream(self, self._next)
        self.streams[self._next] = stream
        self._next += 2
        return stream

    def accept(self, number: int, headers: list[Header]) -> Stream:
        """A server opens no streams."""
        raise AssertionError("a server opened a stream")


class _FrontConnection(Connection):
    """A connection of the native front, which has one for each of its callers' that needs it."""

    def __init__(self, endpoint: _Endpoint) -> None:
        super().__init__(is_client=False)
        self._endpoint = endpoint
        self._others: _OthersConnection | None = None

    def accept(self, number: int, headers: list[Header]) -> Stream:
        """Answer a stream, or hand it on."""
        if value_of(headers, b":path") == MODEL_STREAM_INFER and _is_grpc(headers):
            return StreamCall(self, number, self._endpoint.service)
        near = RelayedStream(self, number)
        near.join(self._connected_others().open())
        return near

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._endpoint.connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End all streams, on both sides."""
        self._endpoint.connections.discard(self)
        super().connection_lost(exc)
        if self._others is not None:
            self._others.close()

    def stop_streams(self) -> None:
        """End all streams, once what came is answered."""
        for stream in list(self.streams.values()):
            if isinstance(stream, StreamCall):
                stream.stop()

    def _connected_others(self) -> _OthersConnection:
        if self._others is None or not self._others.takes_more:
            self._others = _OthersConnection()
            self._endpoint.jobs.run(_connect(self._others, self._endpoint.others_path))
        return self._others


def _is_grpc(headers: list[Header]) -> bool:
    """Tell whether it is a call of gRPC; the other server knows how to refuse what is none."""
    return value_of(headers, b":method") == b"POST" and value_of(
        headers, b"content-type"
    ).startswith(b"application/grpc")


async def _connect(connection: Connection, path: str) -> None:
    loop = asyncio.get_running_loop()
    try:
        await loop.create_unix_connection(lambda: connection, path)
    except OSError as error:
        connection.connection_lost(error)


@asynccontextmanager
async def open_stream_endpoint(
    path: str, others_path: str, service: StreamService
) -> AsyncIterator[None]:
    """Listen on the Unix socket `path` while inside; what is no stream goes to the one at `others_path`.

    On leaving, connections are closed: whoever has streams waits for them before.
    """
    loop = asyncio.get_running_loop()
    async with open_background() as jobs:
        endpoint = _Endpoint(service, others_path, jobs)
        server = await loop.create_unix_server(lambda: _FrontConnection(endpoint), path)
        jobs.run(endpoint.stop_streams())
        try:
            yield
        finally:
            server.close()
            for connection in list(endpoint.connections):
                connection.close()
