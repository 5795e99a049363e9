"""The routes that run models: infer, generate, generate_stream."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from functools import partial

import msgspec
from aiohttp import payload, web
from aiohttp.abc import AbstractStreamWriter

from headrace.errors import HeadraceError
from headrace_inference.domain.ingress.async_inference import AsyncInference
from headrace_inference.domain.ingress.incoming import RequestHeader
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.limits import AnswerLimit
from headrace_inference.domain.ingress.loop_inference import Answer
from headrace_inference.wire.rest.answers import (
    EncodedAnswer,
    encode_rest_answer,
    json_bytes,
)
from headrace_inference.wire.rest.body import Body, hold, read_body
from headrace_inference.wire.rest.generate import (
    EVENT_STREAM,
    MemberParameters,
    encode_generated,
    event,
    parse_generate,
)
from headrace_inference.wire.rest.incoming import GenerateIncoming, InferIncoming
from headrace_inference.wire.rest.raw_binary import raw_request
from headrace_inference.wire.rest.requests import (
    HEADER_LENGTH,
    RestRequest,
    header_length,
    parse_request,
)

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

    def __init__(self, ingress: Ingress, max_body_bytes: int) -> None:
        self._ingress = ingress
        self._max_body_bytes = max_body_bytes
        self._limit = ingress.limits.answers
        self._inference = AsyncInference(ingress)

    async def infer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        name, version = names(request)
        with self._ingress.receptions.receiving(lambda: (name, version)) as reception:
            body = await read_body(request, self._max_body_bytes)
            length = header_length(request.headers.get(HEADER_LENGTH), len(body))
            long = (len(body) if length is None else length) > JSON_ON_LOOP_BYTES
            parsed = await self._parsed(name, version, body, length, long=long)
            hold(parsed.window_bytes)
            incoming = InferIncoming(
                RequestHeader(name, version, parameters=parsed.parameters),
                request.headers.items(),
                long or parsed.contents_take_long,
                parsed,
            )
            answer = await self._inference.infer(incoming, reception)
            return await _response(parsed, answer, self._limit)

    async def generate(self, request: web.Request) -> web.Response:
        """Answer one request of the generate form."""
        return json_bytes_response(await self._generated(request))

    async def generate_stream(self, request: web.Request) -> web.Response:
        """Answer one request of the generate form by server-sent events: by one."""
        body = event(await self._generated(request))
        return web.Response(body=body, headers={"Content-Type": EVENT_STREAM})

    async def _generated(self, request: web.Request) -> bytes:
        name, version = names(request)
        with self._ingress.receptions.receiving(lambda: (name, version)) as reception:
            body = await read_body(request, self._max_body_bytes)
            long = len(body) > JSON_ON_LOOP_BYTES
            members = parse_generate(body)
            incoming = GenerateIncoming(
                RequestHeader(name, version, parameters=MemberParameters(members)),
                request.headers.items(),
                long,
                members,
            )
            if long:
                record = self._ingress.reconciler.table.record(name, version)
                await asyncio.to_thread(incoming.read_for, record)
            answer = await self._inference.infer(incoming, reception)
            return encode_generated(incoming.read, answer, self._limit)

    async def _parsed(
        self, name: str, version: str, body: Body, length: int | None, *, long: bool
    ) -> RestRequest:
        if length == 0:
            return raw_request(self._ingress.reconciler.table.record(name, version), body)
        way_out = partial(self._to_generate, name, version)
        if long:
            return await asyncio.to_thread(parse_request, body, length, way_out)
        return parse_request(body, length, way_out)

    def _to_generate(self, name: str, version: str, members: Collection[str]) -> str:
        """Say where values by name are taken, and the body that says them."""
        try:
            signature = self._ingress.reconciler.table.record(name, version).signature
            inputs = [spec.name for spec in signature.inputs]
        except HeadraceError:
            inputs = [*members][:3]
        body = msgspec.json.encode(dict.fromkeys(inputs, msgspec.Raw(b"..."))).decode()
        path = f"/v2/models/{name}{'/versions/' + version if version else ''}/generate"
        return f"; to give values by name, POST {body} to {path}"


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


async def _response(parsed: RestRequest, answer: Answer, limit: AnswerLimit) -> web.Response:
    if json_bytes(parsed, answer) > JSON_ON_LOOP_BYTES:
        encoded = await asyncio.to_thread(encode_rest_answer, parsed, answer, limit)
        return _encoded_response(encoded)
    return _encoded_response(encode_rest_answer(parsed, answer, limit))


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
