"""The REST form of the Open Inference Protocol: JSON, and the binary-data extension.

The content type of a request is not looked at: Triton's own clients send JSON under other names.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec

from headrace.errors import FailedPrecondition
from headrace.inference import grpc_service_pb2 as pb
from headrace.security.access import Access
from headrace.service.http.answers import Response, json_response
from headrace.service.http.app import error_response
from headrace.service.http.pages import About, add_root_page
from headrace.service.http.requests import Body, Request
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.wire.codec import messages
from headrace_inference.wire.rest.body import BodyBudget
from headrace_inference.wire.rest.cors import Cors
from headrace_inference.wire.rest.exchanges import RestApp
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
from headrace_inference.wire.sight import seen_index, seen_statistics


@dataclass(frozen=True, slots=True)
class RestLimits:
    """Bytes of one body, also after decompression, and of all that are held at a time."""

    max_body_bytes: int
    max_bytes_in_flight: int


def rest_app(
    ingress: Ingress, facts: ServerFacts, limits: RestLimits, cors: Cors | None = None
) -> RestApp:
    """Return the protocol's routes. To be called on the event loop that they are served on."""
    budget = BodyBudget(limits.max_bytes_in_flight, ingress.budget)
    app = RestApp(ingress, limits.max_body_bytes, budget, cors)
    routes = RestRoutes(ingress, facts)
    runs = InferRoutes(ingress, app)
    for model in _MODEL_PATHS:
        app.router.add("POST", f"{model}/infer", runs.infer)
        app.router.add("POST", f"{model}/generate", runs.generate)
        app.router.add("POST", f"{model}/generate_stream", runs.generate_stream)
    add_root_page(app, ABOUT)
    add_description_routes(app, facts.version)
    app.add("GET", "/v2", routes.server_metadata)
    app.add("GET", "/v2/health/live", routes.server_live)
    app.add("GET", "/v2/health/ready", routes.server_ready)
    add_memory_routes(app, ingress.regions, routes.control)
    add_settings_routes(app, routes.control)
    add_model_control_routes(app, routes.control)
    add_model_list_route(app, ingress)
    app.add("GET", "/v2/models/stats", routes.statistics)
    app.add_with_body("POST", "/v2/repository/index", routes.repository_index)
    app.add_with_body("POST", "/v2/repository/{repository}/index", routes.repository_index)
    for model in _MODEL_PATHS:
        app.add("GET", model, routes.model_metadata)
        app.add("GET", f"{model}/ready", routes.model_ready)
        app.add("GET", f"{model}/config", routes.model_config)
        app.add("GET", f"{model}/stats", routes.statistics)
    return app


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

    def __init__(self, ingress: Ingress, facts: ServerFacts) -> None:
        self._ingress = ingress
        self._facts = facts
        self._access = ingress.callers.access
        self.control = control_of(ingress, facts)

    async def server_live(self, request: Request) -> Response:
        """Say that the process answers."""
        return json_response({"live": True})

    async def server_ready(self, request: Request) -> Response:
        """Say whether every wanted version is settled and requests are taken: 200 or 400."""
        if self._facts.is_ready():
            return json_response({"ready": True})
        error = FailedPrecondition("SERVER_NOT_READY", "Server not ready")
        return error_response(error, {"ready": False})

    async def server_metadata(self, request: Request) -> Response:
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

    async def model_metadata(self, request: Request) -> Response:
        """Describe the inputs and outputs of a version."""
        return json_response(message_to_json(metadata_of(self._ingress, *names(request))))

    async def model_ready(self, request: Request) -> Response:
        """Say whether the version that these names lead to can be called here: 200 or 400."""
        name, version = names(request)
        if await self.control.model_ready(name, version):
            return json_response({"name": name, "ready": True})
        error = FailedPrecondition("VERSION_NOT_READY", "Model version not ready")
        return error_response(error, {"name": name, "ready": False})

    async def model_config(self, request: Request) -> Response:
        """Describe how a version is served."""
        return json_response(message_to_json(config_of(self._ingress, *names(request))))

    async def statistics(self, request: Request) -> Response:
        """Report the statistics of versions."""
        statistics = await self.control.statistics(*names(request))
        if "model" not in request.names:
            statistics = seen_statistics(self._access, statistics)
        return json_response(message_to_json(statistics, unset_too=True))

    async def repository_index(self, request: Request, body: Body) -> Response:
        """List the versions; the body `{"ready": true}` asks for those that are ready only."""
        ready_only = bool(decode_json(_INDEX_BODY, body or b"{}").ready)
        index = await self.control.index(ready_only=ready_only)
        # In a thread: there may be 100,000 of them, and others wait on the loop.
        return await asyncio.to_thread(_listed, self._access, index)


def _listed(access: Access, index: pb.RepositoryIndexResponse) -> Response:
    return json_response([message_to_json(entry) for entry in seen_index(access, index).models])
