"""The endpoint of streams on a Unix socket, over a model in plain numpy, and callers by hand."""

from __future__ import annotations

import asyncio
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import hpack
import numpy as np

from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.ingress.limits import IngressLimits
from headrace_inference.wire.http2.server import MODEL_STREAM_INFER, open_stream_endpoint
from headrace_inference.wire.streams.session import StreamOptions, StreamService
from tests.hostile.frames import (
    ACK,
    ANSWER_SECONDS,
    CALL,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    RESET,
    SETTINGS,
    WINDOW,
    Connection,
    Header,
    block,
    frame,
    message,
    settings,
)
from tests.unit.inference.doubles import catalog
from tests.unit.inference.ingress.replicas import Site, running_site

WIDE = struct.pack(">I", 2**24)
BEGIN = PREFACE + settings((4, 2**24)) + frame(WINDOW, 0, 0, WIDE)
STREAM: tuple[Header, ...] = tuple(
    (key, MODEL_STREAM_INFER if key == b":path" else value) for key, value in CALL
)
"""The headers of a call to ModelStreamInfer."""
Found = TypeVar("Found")


@dataclass(frozen=True)
class Endpoint:
    """A running endpoint: its socket, the one it hands on to, and what it counts."""

    path: Path
    others: Path
    site: Site
    options: StreamOptions

    async def ask(self, look: Callable[[Connection], Found]) -> Found:
        """What a caller finds who talks to it from another thread."""
        return await asyncio.to_thread(self._ask, look)

    def _ask(self, look: Callable[[Connection], Found]) -> Found:
        with self.connected() as connection:
            return look(connection)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection, closed on leaving."""
        with socket.socket(socket.AF_UNIX) as plain:
            plain.settimeout(ANSWER_SECONDS)
            plain.connect(str(self.path))
            yield Connection(plain)


@asynccontextmanager
async def running_endpoint(
    limits: IngressLimits | None = None, max_in_flight: int = 256
) -> AsyncIterator[Endpoint]:
    """An endpoint whose one model doubles, while inside."""
    chosen = StreamOptions(max_in_flight=max_in_flight)
    with tempfile.TemporaryDirectory() as folder:
        path, others = Path(folder) / "streams", Path(folder) / "others"
        async with running_site(limits) as site:
            await site.follow(catalog(1, stable=1), 1)
            service = StreamService(site.ingress, chosen)
            async with open_stream_endpoint(str(path), str(others), service):
                yield Endpoint(path, others, site, chosen)


def request(value: float, model: str = "m", request_id: str = "") -> bytes:
    """A request of one row with this value."""
    asked = pb.ModelInferRequest(model_name=model, id=request_id)
    asked.inputs.add(name="x", datatype="FP32", shape=(1, 2))
    asked.raw_input_contents.append(np.full(2, value, np.float32).tobytes())
    return asked.SerializeToString()


def opened(headers: Sequence[Header] = STREAM) -> bytes:
    """The beginning of a call, on a new connection."""
    return BEGIN + frame(HEADERS, END_HEADERS, 1, block(headers))


def sent(*payloads: bytes, flags: int = 0) -> bytes:
    """These messages in one frame."""
    return frame(DATA, flags, 1, b"".join(map(message, payloads)))


@dataclass
class Told:
    """What the caller of stream 1 was told: messages, the final headers, and how the stream ended."""

    messages: list[bytes] = field(default_factory=list)
    trailers: dict[bytes, bytes] = field(default_factory=dict)
    reset: int | None = None
    data: bytes = b""

    @property
    def status(self) -> str:
        """The status of gRPC, '' where none came."""
        return self.trailers.get(b"grpc-status", b"").decode()

    @property
    def values(self) -> list[float | str]:
        """The first value of each answer, or its error's text."""
        return [_value(each) for each in self.messages]


def told(connection: Connection, until: Callable[[Told], bool] = lambda _: False) -> Told:
    """Read until the stream ends, or something else holds."""
    found, decoder = Told(), hpack.Decoder()
    for came in connection.frames():
        if came.kind == SETTINGS and not came.flags & ACK:
            connection.send(frame(SETTINGS, ACK, 0))
        elif came.kind == RESET:
            found.reset = int.from_bytes(came.payload, "big")
            return found
        elif came.kind == HEADERS:
            headers = decoder.decode(came.payload, raw=True)
            found.trailers = {bytes(key): bytes(value) for key, value in headers}
        elif came.kind == DATA:
            found.data += came.payload
            _cut(found)
        if (came.kind in (DATA, HEADERS) and came.flags & END_STREAM) or until(found):
            return found
    return found


def _cut(found: Told) -> None:
    while len(found.data) >= 5:
        end = 5 + int.from_bytes(found.data[1:5], "big")
        if len(found.data) < end:
            return
        found.messages.append(found.data[5:end])
        found.data = found.data[end:]


def _value(payload: bytes) -> float | str:
    response = pb.ModelStreamInferResponse.FromString(payload)
    if response.error_message:
        return str(response.error_message)
    return float(np.frombuffer(response.infer_response.raw_output_contents[0], np.float32)[0])
