"""The REST form of the Open Inference Protocol: JSON, and the binary-data extension.

The content type of a request is not looked at: Triton's own clients send JSON under other names.
"""

from __future__ import annotations

import time

import msgspec
from aiohttp import web

from headrace.errors import FailedPrecondition
from headrace_inference.domain.dataplane import DataPlane
from headrace_inference.domain.tracing import RequestFacts
from headrace_inference.wire import convert
from headrace_inference.wire.rest_answers import EncodedAnswer, encode_rest_answer
from headrace_inference.wire.rest_body import read_body
from headrace_inference.wire.rest_errors import answer_errors, error_response, json_response
from headrace_inference.wire.rest_memory import add_memory_routes
from headrace_inference.wire.rest_messages import message_to_json
from headrace_inference.wire.rest_requests import (
    HEADER_LENGTH,
    RestRequest,
    decode_json,
    header_length,
    parse_request,
    raw_request,
)
from headrace_inference.wire.rest_settings import add_settings_routes
from headrace_inference.wire.servicer import ServerFacts, metadata_of, model_ready, statistics_of
from headrace_inference.wire.waiting import InferCall, WaitingRequests

MIN_COMPRESSED_BYTES = 1024
"""Smaller answers are not compressed: it would cost more than it saves."""

COMPRESSED_ON_LOOP_BYTES = 65_536
"""Larger answers are compressed in a thread, so that the event loop goes on."""


def add_rest_routes(
    app: web.Application, dataplane: DataPlane, facts: ServerFacts, max_body_bytes: int
) -> None:
    """Add the protocol's routes, and the middleware that answers their errors, to an app.

    To be called on the event loop that the app runs on. Bodies over `max_body_bytes`, also after
    decompression, are refused; the server of the app must leave bodies compressed.
    """
    routes = RestRoutes(dataplane, facts, max_body_bytes)
    app.middlewares.append(answer_errors)
    app.router.add_get("/v2", routes.server_metadata)
    app.router.add_get("/v2/health/live", routes.server_live)
    app.router.add_get("/v2/health/ready", routes.server_ready)
    add_memory_routes(app, dataplane.regions, max_body_bytes)
    add_settings_routes(app, dataplane, facts.log, max_body_bytes)
    app.router.add_get("/v2/models/stats", routes.statistics)
    app.router.add_post("/v2/repository/index", routes.repository_index)
    for model in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        app.router.add_get(model, routes.model_metadata)
        app.router.add_get(f"{model}/ready", routes.model_ready)
        app.router.add_get(f"{model}/config", routes.model_config)
        app.router.add_get(f"{model}/stats", routes.statistics)
        app.router.add_post(f"{model}/infer", routes.infer)


class _IndexRequest(msgspec.Struct, frozen=True):
    ready: bool | None = None


_INDEX_REQUEST = msgspec.json.Decoder(_IndexRequest)


class RestRoutes:
    """Decode, call, encode."""

    def __init__(self, dataplane: DataPlane, facts: ServerFacts, max_body_bytes: int) -> None:
        self._dataplane = dataplane
        self._facts = facts
        self._max_body_bytes = max_body_bytes
        self._requests = WaitingRequests(dataplane)

    async def server_live(self, request: web.Request) -> web.Response:
        """Whether the process answers."""
        return json_response({"live": True})

    async def server_ready(self, request: web.Request) -> web.Response:
        """Whether every wanted version is settled and requests are taken: 200 or 400."""
        if self._facts.is_ready():
            return json_response({"ready": True})
        error = FailedPrecondition("SERVER_NOT_READY", "Server not ready")
        return error_response(error, {"ready": False})

    async def server_metadata(self, request: web.Request) -> web.Response:
        """Name, version, extensions."""
        return json_response(
            message_to_json(
                convert.server_metadata(
                    self._facts.version, shared_memory=self._dataplane.regions.allowed
                )
            )
        )

    async def model_metadata(self, request: web.Request) -> web.Response:
        """What a version takes and gives."""
        return json_response(message_to_json(metadata_of(self._dataplane, *_names(request))))

    async def model_ready(self, request: web.Request) -> web.Response:
        """Whether the version that these names lead to can be called here: 200 or 400."""
        name, version = _names(request)
        if model_ready(self._dataplane, name, version):
            return json_response({"name": name, "ready": True})
        error = FailedPrecondition("VERSION_NOT_READY", "Model version not ready")
        return error_response(error, {"name": name, "ready": False})

    async def model_config(self, request: web.Request) -> web.Response:
        """How a version is served."""
        served = self._dataplane.keeper.table.find(*_names(request))
        return json_response(message_to_json(convert.model_config(served.record)))

    async def statistics(self, request: web.Request) -> web.Response:
        """What versions did."""
        statistics = statistics_of(self._dataplane, *_names(request))
        return json_response(message_to_json(statistics, unset_too=True))

    async def repository_index(self, request: web.Request) -> web.Response:
        """Which versions there are; the body `{"ready": true}` asks for those that are ready only."""
        body = await read_body(request, self._max_body_bytes)
        ready_only = bool(decode_json(_INDEX_REQUEST, body or b"{}").ready)
        index = convert.repository_index(self._dataplane.keeper.table, ready_only=ready_only)
        return json_response([message_to_json(entry) for entry in index.models])

    async def infer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        received_ns = time.monotonic_ns()
        name, version = _names(request)
        body = await read_body(request, self._max_body_bytes)
        parsed = self._parse(request, name, version, body)
        call = InferCall(
            name,
            lambda: self._dataplane.resolve(
                name, version, parsed.headers, parsed.outputs, parsed.options
            ),
            lambda: parsed.contents(self._dataplane.regions),
            received_ns,
            facts=lambda: self._facts_of(request, parsed),
        )
        answer = await self._requests.infer(call)
        return _response(encode_rest_answer(parsed, answer))

    def _facts_of(self, request: web.Request, parsed: RestRequest) -> RequestFacts:
        headers = self._dataplane.tracer.http_headers.forwarded(request.headers.items())
        return RequestFacts(parsed.id, {**parsed.parameters, **headers})

    def _parse(self, request: web.Request, name: str, version: str, body: bytes) -> RestRequest:
        length = header_length(request.headers.get(HEADER_LENGTH), len(body))
        if length == 0:
            return raw_request(self._dataplane.keeper.table.find(name, version).record, body)
        return parse_request(body, length)


def _names(request: web.Request) -> tuple[str, str]:
    """The names of model and version in a path, '' where it has none."""
    return request.match_info.get("model", ""), request.match_info.get("version", "")


def _response(answer: EncodedAnswer) -> web.Response:
    binary = answer.header_length is not None
    response = web.Response(
        body=answer.body,
        headers={HEADER_LENGTH: str(answer.header_length)} if binary else None,
        content_type="application/octet-stream" if binary else "application/json",
        zlib_executor_size=COMPRESSED_ON_LOOP_BYTES,
    )
    if len(answer.body) >= MIN_COMPRESSED_BYTES:
        response.enable_compression()
    return response
