"""The routes of OpenAI's API, beside those of the Open Inference Protocol on the REST port."""

from __future__ import annotations

from http import HTTPStatus

from headrace.service.http.answers import Response, json_response
from headrace.service.http.requests import Request
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.wire.openai.chats import ChatRoutes
from headrace_inference.wire.openai.completions import CompletionRoutes
from headrace_inference.wire.openai.description import DESCRIPTION
from headrace_inference.wire.openai.embeddings import EmbeddingRoutes
from headrace_inference.wire.openai.errors import in_openai_form
from headrace_inference.wire.openai.model_names import ServedNames
from headrace_inference.wire.openai.models import ModelRoutes
from headrace_inference.wire.openai.port import OpenAiPort
from headrace_inference.wire.openai.request_ids import add_request_id
from headrace_inference.wire.openai.rerank import RerankRoutes
from headrace_inference.wire.openai.responses import ResponseRoutes
from headrace_inference.wire.openai.tokens import TokenRoutes
from headrace_inference.wire.rest.exchanges import RestApp
from headrace_inference.wire.rest.openapi.document import add_description_routes
from headrace_inference.wire.server_queries import ServerFacts

_PREFIX = "/v1"
_BESIDE = frozenset(("/tokenize", "/detokenize", "/rerank", "/v2/rerank"))
"""Paths of this API that are not below /v1."""

_WITHOUT_PREFIX = frozenset(
    ("/chat/completions", "/completions", "/responses", "/embeddings", "/models")
)
"""What clients ask for whose base URL lacks /v1: they read the error, which says so, in this form alone."""

_OURS = frozenset((_PREFIX, *_BESIDE, *_WITHOUT_PREFIX))


def add_openai_routes(
    app: RestApp, ingress: Ingress, facts: ServerFacts, names: ServedNames | None = None
) -> None:
    """Add the routes, and have errors on them written as OpenAI writes errors."""
    _add_service_routes(app, facts)
    names = names or ServedNames()
    models = ModelRoutes(ingress, names)
    app.add("GET", "/v1/models", models.models)
    app.add("GET", "/v1/models/{id}", models.model)
    port = OpenAiPort(app, ingress, names)
    tokens = TokenRoutes(port)
    port.add("/v1/chat/completions", ChatRoutes(port).chat)
    port.add("/v1/completions", CompletionRoutes(port).complete)
    port.add("/v1/responses", ResponseRoutes(port).respond)
    port.add("/v1/embeddings", EmbeddingRoutes(port).embed)
    rerank = RerankRoutes(port).rerank
    for prefix in ("", _PREFIX, "/v2"):
        port.add(f"{prefix}/rerank", rerank)
    for prefix in ("", _PREFIX):
        port.add(f"{prefix}/tokenize", tokens.tokenize)
        port.add(f"{prefix}/detokenize", tokens.detokenize)
    add_description_routes(app, facts.version, DESCRIPTION)
    app.finishers.append(finish)


def finish(request: Request, response: Response) -> None:
    """Give an answer of this API its form. It is asked of every answer of the port: of most, nothing."""
    if not (request.id or response.reason):  # tensors were asked for, and given
        return
    path = request.head.raw_path
    if path in _OURS or path.startswith("/v1/"):
        if response.reason:
            in_openai_form(response)
        add_request_id(request, response)


def _add_service_routes(app: RestApp, facts: ServerFacts) -> None:
    async def version(_: Request) -> Response:
        return json_response({"version": facts.version})

    async def health(_: Request) -> Response:
        if facts.is_ready():
            return json_response({"status": "ok"})
        return json_response({"status": "not ready"}, status=HTTPStatus.SERVICE_UNAVAILABLE)

    app.add("GET", "/version", version)
    app.add("GET", "/health", health)
    app.add("GET", "/ping", health)
