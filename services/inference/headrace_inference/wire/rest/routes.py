"""The REST form of the Open Inference Protocol: JSON, and the binary-data extension.

The content type of a request is not looked at: Triton's own clients send JSON under other names.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec
from aiohttp import web

from headrace.errors import FailedPrecondition
from headrace.inference import grpc_service_pb2 as pb
from headrace.service.signposts import About, add_root_page
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.wire.codec import messages
from headrace_inference.wire.rest.body import BodyBudget, read_body
from headrace_inference.wire.rest.errors import answer_errors, error_response, json_response
from headrace_inference.wire.rest.infer import InferRoutes, names
from headrace_inference.wire.rest.model_list import add_model_list_route
from headrace_inference.wire.rest.models import add_model_control_routes
from headrace_inference.wire.rest.openapi.document import add_description_routes
from headrace_inference.wire.rest.protobuf_json import message_to_json
from headrace_inference.wire.rest.requests import IndexBody, decode_json
from headrace_inference.wire.rest.settings import add_settings_routes
from headrace_inference.wire.rest.shared_memory import add_memory_routes
from headrace_inference.wire.server_queries import ServerFacts, config_of, metadata_of
from headrace_inference.wire.shared_control import control_of


@dataclass(frozen=True, slots=True)
class RestLimits:
    """Bytes of one body, also after decompression, and of all that are held at a time."""

    max_body_bytes: int
    max_bytes_in_flight: int


def add_rest_routes(
    app: web.Application, ingress: Ingress, facts: ServerFacts, limits: RestLimits
) -> None:
    """Add the protocol's routes, and the middleware that answers their errors, to an app.

    To be called on the event loop that the app runs on. Bodies over the limits are refused; the server of
    the app must leave bodies compressed.
    """
    max_body_bytes = limits.max_body_bytes
    routes = RestRoutes(ingress, facts, max_body_bytes)
    runs = InferRoutes(ingress, max_body_bytes)
    app.middlewares.append(answer_errors(ingress.rest_errors))
    app.middlewares.append(BodyBudget(limits.max_bytes_in_flight, ingress.budget).middleware)
    for model in _MODEL_PATHS:  # first: aiohttp tries routes in their order
        app.router.add_post(f"{model}/infer", runs.infer)
    add_root_page(app, ABOUT)
    add_description_routes(app, facts.version)
    app.router.add_get("/v2", routes.server_metadata)
    app.router.add_get("/v2/health/live", routes.server_live)
    app.router.add_get("/v2/health/ready", routes.server_ready)
    add_memory_routes(app, ingress.regions, routes.control, max_body_bytes)
    add_settings_routes(app, routes.control, max_body_bytes)
    add_model_control_routes(app, routes.control, max_body_bytes)
    add_model_list_route(app, ingress)
    app.router.add_get("/v2/models/stats", routes.statistics)
    app.router.add_post("/v2/repository/index", routes.repository_index)
    app.router.add_post("/v2/repository/{repository}/index", routes.repository_index)
    for model in _MODEL_PATHS:
        app.router.add_get(model, routes.model_metadata)
        app.router.add_get(f"{model}/ready", routes.model_ready)
        app.router.add_get(f"{model}/config", routes.model_config)
        app.router.add_get(f"{model}/stats", routes.statistics)
        app.router.add_post(f"{model}/generate", runs.generate)
        app.router.add_post(f"{model}/generate_stream", runs.generate_stream)


_MODEL_PATHS = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
ABOUT = About(
    "Headrace inference, REST",
    "This port of a replica answers the Open Inference Protocol over HTTP. gRPC and metrics have ports of "
    "their own (8001 and 8002 by default).",
    {
        "/docs": "all paths, what they take and answer",
        "/openapi.json": "the same for programs",
        "/v2/models": "the models that can be called",
        "/v2": "the server's name, version and extensions",
        "/v2/health/ready": "whether it is ready",
    },
)
_INDEX_BODY = msgspec.json.Decoder(IndexBody)


class RestRoutes:
    """Decode, call, encode."""

    def __init__(self, ingress: Ingress, facts: ServerFacts, max_body_bytes: int) -> None:
        self._ingress = ingress
        self._facts = facts
        self.control = control_of(ingress, facts)
        self._max_body_bytes = max_body_bytes

    async def server_live(self, request: web.Request) -> web.Response:
        """Say that the process answers."""
        return json_response({"live": True})

    async def server_ready(self, request: web.Request) -> web.Response:
        """Say whether every wanted version is settled and requests are taken: 200 or 400."""
        if self._facts.is_ready():
            return json_response({"ready": True})
        error = FailedPrecondition("SERVER_NOT_READY", "Server not ready")
        return error_response(error, {"ready": False})

    async def server_metadata(self, request: web.Request) -> web.Response:
        """Name, version, extensions."""
        return json_response(
            message_to_json(
                messages.server_metadata(
                    self._facts.name,
                    self._facts.version,
                    shared_memory=self._ingress.regions.allowed,
                )
            )
        )

    async def model_metadata(self, request: web.Request) -> web.Response:
        """Describe the inputs and outputs of a version."""
        return json_response(message_to_json(metadata_of(self._ingress, *names(request))))

    async def model_ready(self, request: web.Request) -> web.Response:
        """Say whether the version that these names lead to can be called here: 200 or 400."""
        name, version = names(request)
        if await self.control.model_ready(name, version):
            return json_response({"name": name, "ready": True})
        error = FailedPrecondition("VERSION_NOT_READY", "Model version not ready")
        return error_response(error, {"name": name, "ready": False})

    async def model_config(self, request: web.Request) -> web.Response:
        """Describe how a version is served."""
        record = config_of(self._ingress, *names(request))
        return json_response(message_to_json(messages.model_config(record)))

    async def statistics(self, request: web.Request) -> web.Response:
        """Report the statistics of versions."""
        statistics = await self.control.statistics(*names(request))
        return json_response(message_to_json(statistics, unset_too=True))

    async def repository_index(self, request: web.Request) -> web.Response:
        """List the versions; the body `{"ready": true}` asks for those that are ready only."""
        body = await read_body(request, self._max_body_bytes)
        ready_only = bool(decode_json(_INDEX_BODY, body or b"{}").ready)
        index = await self.control.index(ready_only=ready_only)
        # In a thread: there may be 100,000 of them, and others wait on the loop.
        return await asyncio.to_thread(_listed, index)


def _listed(index: pb.RepositoryIndexResponse) -> web.Response:
    return json_response([message_to_json(entry) for entry in index.models])
