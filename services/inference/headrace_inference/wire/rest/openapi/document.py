"""The OpenAPI document of the REST port, and the page that shows it: made once, at the start."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec

from headrace.service.http.answers import HTML_TYPE, Response
from headrace.service.http.requests import Request
from headrace_inference.wire.rest.exchanges import RestApp
from headrace_inference.wire.rest.model_list import MAX_PAGE_SIZE, PAGE_SIZE
from headrace_inference.wire.rest.openapi.operations import BINARY, JSON, OPERATIONS, Operation
from headrace_inference.wire.rest.openapi.page import page_of
from headrace_inference.wire.rest.openapi.schemas import Schema, ref, schemas
from headrace_inference.wire.rest.requests import HEADER_LENGTH

_PARAMETER = re.compile(r"{(\w+)}")
_PARAMETERS = {
    "model": "A model's name, or `name@alias`.",
    "version": "A version's number, or an alias.",
    "repository": "A repository's name, which is not looked at.",
    "region": "The name that a region was or is to be registered under.",
}
_QUERY: dict[str, tuple[str, Schema]] = {
    "page_size": (
        f"Models of a page, {PAGE_SIZE} by default.",
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE},
    ),
    "page_token": ("The `next_page_token` of the page before.", {"type": "string"}),
}
_RETRIED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Description:
    """An addition by another API on the same port: its operations, their schemas, and names in paths."""

    operations: Sequence[Operation] = ()
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


NOTHING_MORE = Description()


def add_description_routes(app: RestApp, version: str, more: Description = NOTHING_MORE) -> None:
    """Add GET /openapi.json and /docs; they replace those that were added before."""
    described = document(version, more)
    body = msgspec.json.encode(described)
    html = page_of(described)

    async def description(_: Request) -> Response:
        return Response(body, JSON)

    async def page(_: Request) -> Response:
        return Response(html, HTML_TYPE)

    app.add("GET", "/openapi.json", description)
    app.add("GET", "/docs", page)


def document(version: str, more: Description = NOTHING_MORE) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    names = {**_PARAMETERS, **more.parameters}
    for operation in (*more.operations, *OPERATIONS):
        paths.setdefault(operation.path, {})[operation.verb] = _operation(operation, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headrace inference",
            "version": version,
            "description": (
                "The Open Inference Protocol over REST, with Triton's extensions; OpenAI's API for models "
                "of text."
            ),
        },
        "paths": paths,
        "components": {"schemas": {**schemas(), **more.schemas}},
    }


def _operation(operation: Operation, names: Mapping[str, str]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": list(_parameters(operation, names)),
        "responses": _responses(operation),
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.body_required,
            "content": {media: {"schema": ref(name)} for media, name in operation.body.items()},
        }
    return described


def _parameters(operation: Operation, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name in _PARAMETER.findall(operation.path):
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": names[name],
            "schema": {"type": "string", "minLength": 1},
        }
    for name in operation.query:
        text, schema = _QUERY[name]
        where = {"name": name, "in": "query", "required": False}
        yield where | {"description": text, "schema": schema}
    if operation.body is not None and BINARY in operation.body:
        yield {
            "name": HEADER_LENGTH,
            "in": "header",
            "required": False,
            "description": "How many bytes of the body are JSON, where binary tensors follow.",
            "schema": {"type": "integer", "minimum": 0},
        }


def _responses(operation: Operation) -> dict[str, Any]:
    ok: dict[str, Any] = {"description": "Done."}
    if operation.answer:
        ok["content"] = {media: {"schema": ref(name)} for media, name in operation.answer.items()}
    if BINARY in operation.answer:
        length: Schema = {"type": "integer", "minimum": 0}
        ok["headers"] = {HEADER_LENGTH: {"required": False, "schema": length}}
    responses = {"200": ok}
    unready = operation.unready_status
    for status in sorted({*operation.errors, *([unready] if operation.unready else [])}):
        schema = operation.unready if status == unready else ""
        responses[str(status)] = _error(HTTPStatus(status), schema or operation.error)
    return responses


def _error(status: HTTPStatus, schema: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": f"{status.phrase}.",
        "content": {JSON: {"schema": ref(schema)}},
    }
    if status in _RETRIED:
        delay: Schema = {"type": "integer", "minimum": 0}
        described["headers"] = {"Retry-After": {"required": False, "schema": delay}}
    return described
