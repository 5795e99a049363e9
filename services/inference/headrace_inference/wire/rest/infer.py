"""The routes that run models: infer, generate, generate_stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aiohttp import payload, web
from aiohttp.abc import AbstractStreamWriter

from headrace.errors import HeadraceError
from headrace.state.records import VersionRecord
from headrace_inference.domain.dataplane import DataPlane, Resolved
from headrace_inference.domain.requests import Contents
from headrace_inference.domain.tracing import RequestFacts
from headrace_inference.wire.rest.answers import (
    EncodedAnswer,
    check_answerable,
    encode_rest_answer,
    json_bytes,
)
from headrace_inference.wire.rest.body import Body, hold, read_body
from headrace_inference.wire.rest.generate import (
    EVENT_STREAM,
    Members,
    encode_generated,
    event,
    generate_request,
    parse_generate,
)
from headrace_inference.wire.rest.raw import raw_request
from headrace_inference.wire.rest.requests import (
    HEADER_LENGTH,
    RestRequest,
    header_length,
    parse_request,
)
from headrace_inference.wire.waiting import Answer, InferCall, WaitingRequests

MIN_COMPRESSED_BYTES = 1024
"""Smaller answers are not compressed: it would cost more than it saves."""

COMPRESSED_ON_LOOP_BYTES = 65_536
"""Larger answers are compressed in a thread, so that the event loop goes on."""

JOINED_BYTES = 65_536
"""An answer of up to this much is sent as one piece; copying it costs less than a second system call."""

JSON_ON_LOOP_BYTES = 262_144
"""JSON of more than this is read and written in a thread: it takes milliseconds."""


class InferRoutes:
    """Decode, call, encode."""

    def __init__(self, dataplane: DataPlane, max_body_bytes: int) -> None:
        self._dataplane = dataplane
        self._max_body_bytes = max_body_bytes
        self._requests = WaitingRequests(dataplane)

    async def infer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        received_ns = time.monotonic_ns()
        name, version = names(request)
        with self._counting(name, received_ns):
            body = await read_body(request, self._max_body_bytes)
            length = header_length(request.headers.get(HEADER_LENGTH), len(body))
            long = (len(body) if length is None else length) > JSON_ON_LOOP_BYTES
            parsed = await self._parsed(name, version, body, length, long=long)
            hold(parsed.window_bytes)
        call = InferCall(
            name,
            lambda: self._resolve(name, version, parsed),
            lambda: parsed.contents(self._dataplane.regions),
            received_ns,
            contents_take_long=long or parsed.contents_take_long,
            facts=lambda: self._facts_of(request, parsed),
        )
        answer = await self._requests.infer(call)
        return await _response(parsed, answer)

    async def generate(self, request: web.Request) -> web.Response:
        """Answer one request of the generate form."""
        return json_bytes_response(await self._generated(request))

    async def generate_stream(self, request: web.Request) -> web.Response:
        """Answer one request of the generate form by server-sent events: by one."""
        body = event(await self._generated(request))
        return web.Response(body=body, headers={"Content-Type": EVENT_STREAM})

    async def _generated(self, request: web.Request) -> bytes:
        received_ns = time.monotonic_ns()
        name, version = names(request)
        with self._counting(name, received_ns):
            body = await read_body(request, self._max_body_bytes)
            members = parse_generate(body)
            generation = _Generation(self._dataplane, name, version, members)
            if len(body) > JSON_ON_LOOP_BYTES:
                await asyncio.to_thread(generation.prepare)
        call = InferCall(
            name,
            generation.resolve,
            generation.contents,
            received_ns,
            contents_take_long=len(body) > JSON_ON_LOOP_BYTES,
            facts=lambda: self._facts_of(request, generation.request),
        )
        answer = await self._requests.infer(call)
        return encode_generated(generation.request, answer)

    async def _parsed(
        self, name: str, version: str, body: Body, length: int | None, *, long: bool
    ) -> RestRequest:
        if length == 0:
            return raw_request(self._dataplane.keeper.table.find(name, version).record, body)
        if long:
            return await asyncio.to_thread(parse_request, body, length)
        return parse_request(body, length)

    def _resolve(self, name: str, version: str, parsed: RestRequest) -> Resolved:
        resolved = self._dataplane.resolve(
            name, version, parsed.headers, parsed.outputs, parsed.options
        )
        check_answerable(parsed, resolved)
        return resolved

    def _facts_of(self, request: web.Request, parsed: RestRequest) -> RequestFacts:
        headers = self._dataplane.tracer.http_headers.forwarded(request.headers.items())
        return RequestFacts(parsed.id, {**parsed.parameters, **headers})

    @contextmanager
    def _counting(self, name: str, received_ns: int) -> Iterator[None]:
        """Count a request that is refused before anybody looked for its version."""
        try:
            yield
        except HeadraceError as error:
            self._dataplane.record_refusal(name, error, received_ns)
            raise


class _Generation:
    """A request of the generate form, which takes its shape from the version that answers it."""

    def __init__(self, dataplane: DataPlane, name: str, version: str, members: Members) -> None:
        self._dataplane = dataplane
        self._names = (name, version)
        self._members = members
        self._record: VersionRecord | None = None
        self.request: RestRequest

    def prepare(self) -> None:
        """Read the values for the version that is likely to answer. Raises HeadraceError."""
        self._read_for(self._dataplane.keeper.table.find(*self._names).record)

    def _read_for(self, record: VersionRecord) -> None:
        if self._record is not record:
            self.request = generate_request(record, self._members)
            self._record = record

    def resolve(self) -> Resolved:
        """Where it goes, and how it runs there. Raises HeadraceError."""
        served, route = self._dataplane.keeper.table.pick(*self._names)
        self._read_for(served.record)
        plan = served.plan(self.request.headers, (), self.request.options)
        resolved = Resolved(served, route, plan)
        check_answerable(self.request, resolved)
        return resolved

    def contents(self) -> list[Contents]:
        """The values of its inputs. Raises HeadraceError."""
        return self.request.contents(self._dataplane.regions)


def names(request: web.Request) -> tuple[str, str]:
    """The names of model and version in a path, '' where it has none."""
    return request.match_info.get("model", ""), request.match_info.get("version", "")


def json_bytes_response(body: bytes) -> web.Response:
    """A JSON answer, compressed if it is large and the caller takes that."""
    response = web.Response(
        body=body, content_type="application/json", zlib_executor_size=COMPRESSED_ON_LOOP_BYTES
    )
    if len(body) >= MIN_COMPRESSED_BYTES:
        response.enable_compression()
    return response


async def _response(parsed: RestRequest, answer: Answer) -> web.Response:
    if json_bytes(parsed, answer) > JSON_ON_LOOP_BYTES:
        return _encoded_response(await asyncio.to_thread(encode_rest_answer, parsed, answer))
    return _encoded_response(encode_rest_answer(parsed, answer))


def _encoded_response(answer: EncodedAnswer) -> web.Response:
    if answer.tail is None:
        return json_bytes_response(answer.json)
    parts = [answer.json, *answer.tail]
    size = sum(map(len, parts))
    response = web.Response(
        body=b"".join(parts) if size <= JOINED_BYTES else _Parts(parts, size),
        content_type="application/octet-stream",
        headers={HEADER_LENGTH: str(len(answer.json))},
        zlib_executor_size=COMPRESSED_ON_LOOP_BYTES,
    )
    if size >= MIN_COMPRESSED_BYTES:
        response.enable_compression()
    return response


class _Parts(payload.Payload):
    """A body in parts, none of which is copied."""

    def __init__(self, parts: Sequence[bytes | memoryview], size: int) -> None:
        super().__init__(parts)
        self._size = size

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The body as text: nobody asks for it."""
        return b"".join(self._value).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the parts."""
        for part in self._value:
            await writer.write(part)
