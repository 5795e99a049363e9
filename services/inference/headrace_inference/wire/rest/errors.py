"""Around every REST request: whose it is, what its records carry, and what an error's answer is.

An error's body is `{"error": text, "reason": constant}`, with `facts`, `violations` and
`retry_after_seconds` where the error has them.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from headrace import errors, identity, status
from headrace.service import logs
from headrace_inference.wire.rest.near_routes import near_routes

MAX_ERROR_CHARACTERS = 1000
MAX_PATH_CHARACTERS = 200

_OPERATIONS = ("/healthz", "/metrics", "/readyz")

RestError = tuple[str, str, str]
"""The verb, the route and the reason of an error; '' for verb and route of what has no route."""

logger = logging.getLogger(__name__)


def json_response(
    document: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON answer."""
    body = msgspec.json.encode(document)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


class ErrorAnswer(web.Response):
    """An answer that tells an error, and knows its reason."""

    def __init__(
        self, reason: str, document: object, status: int, headers: Mapping[str, str] | None
    ) -> None:
        body = msgspec.json.encode(document)
        super().__init__(body=body, status=status, headers=headers, content_type="application/json")
        self.error_reason = reason


def answer_errors(counts: Counter[RestError]) -> Middleware:
    """Turns what is raised into a JSON answer, and counts it; binds each request's ids and caller."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _answered(request, handler)
        if isinstance(response, ErrorAnswer):
            counts[_place(request, response.error_reason)] += 1
        return response

    return answer


def _place(request: web.Request, reason: str) -> RestError:
    """Return where an error counts: callers cannot make verbs or paths up."""
    resource = request.match_info.route.resource
    return ("", "", reason) if resource is None else (request.method, resource.canonical, reason)


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    metadata = [(key.lower(), value) for key, value in request.headers.items()]
    caller = identity.identify(metadata, request.remote or "")
    with logs.bound(logs.request_context(metadata)), identity.calling(caller):
        try:
            return await handler(request)
        except errors.HeadraceError as error:
            error.forget_history()
            return error_response(error)
        except web.HTTPException as error:
            return _http_error_response(request, error)
        except Exception:
            logger.exception("a bug ended a request", extra={"path": request.path})
            return error_response(_bug())


def error_response(
    error: errors.HeadraceError, extra: Mapping[str, object] | None = None
) -> web.Response:
    """The answer that says what an error says, with `extra` members in its body."""
    headers = {}
    if error.retry_after_seconds is not None:  # HTTP counts whole seconds
        headers["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    body = _error_body(error) | dict(extra or {})
    return ErrorAnswer(error.reason, body, status.http_status(error), headers)


def _error_body(error: errors.HeadraceError) -> dict[str, object]:
    body: dict[str, object] = {"error": _printable(error.message), "reason": error.reason}
    if error.facts:
        body["facts"] = {key: _printable(value) for key, value in error.facts.items()}
    if error.violations:
        body["violations"] = [
            {"field": wrong.field, "description": wrong.description} for wrong in error.violations
        ]
    if error.retry_after_seconds is not None:
        body["retry_after_seconds"] = error.retry_after_seconds
    return body


def _http_error_response(request: web.Request, error: web.HTTPException) -> web.Response:
    """aiohttp's own refusals: an unknown path, a verb that the path does not take."""
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    reason = error.reason.upper().replace(" ", "_")
    text = _printable(_http_error_text(request, error)[:MAX_ERROR_CHARACTERS])
    return ErrorAnswer(reason, {"error": text, "reason": reason}, error.status, headers)


def _http_error_text(request: web.Request, error: web.HTTPException) -> str:
    path = request.path[:MAX_PATH_CHARACTERS]
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = " or ".join(sorted(error.allowed_methods - {"HEAD"}))
        return f"{path} takes {allowed}, not {request.method[:MAX_PATH_CHARACTERS]}"
    if not isinstance(error, web.HTTPNotFound):
        return error.reason
    if request.path in _OPERATIONS:
        return (
            f"{path} is at the port of metrics (--metrics-port, 8002 by default); this one is REST"
        )
    resources = request.app.router.resources()
    near = near_routes(request.path, [resource.canonical for resource in resources])
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return f"there is nothing at {path}; {meant}/docs lists all paths"


def _printable(text: str) -> str:
    """A path may bring bytes that are no UTF-8; an answer must not."""
    return text.encode(errors="replace").decode()


def _bug() -> errors.Internal:
    return errors.Internal(
        "INTERNAL", "the service failed on its own account; its log has the details"
    )
