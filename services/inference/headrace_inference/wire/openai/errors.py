"""Errors in OpenAI's form, with a status that has its clients repeat what may succeed, and nothing else.

They repeat 408, 409, 429 and all from 500 on: what will stay wrong has another status than elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from headrace import status
from headrace.errors import HeadraceError
from headrace.service.http.answers import JSON_TYPE, Response
from headrace.service.http.app import printable
from headrace.service.http.events import event

_BAD_REQUEST = HTTPStatus.BAD_REQUEST
_STATUSES: Mapping[str, int] = {
    "BODY_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "ENCODING_UNSUPPORTED": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "KV_CACHE_TOO_SMALL": _BAD_REQUEST,
    "ANSWER_TOO_LARGE": _BAD_REQUEST,
}
"""Of reasons whose class has another status elsewhere."""

_PERMANENT: Mapping[int, int] = {
    HTTPStatus.NOT_IMPLEMENTED: _BAD_REQUEST,
    HTTPStatus.CONFLICT: _BAD_REQUEST,
}

_INVALID = "invalid_request_error"
_TYPES: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}

_CODES: Mapping[str, str] = {
    "ALIAS_NOT_FOUND": "model_not_found",
    "NO_VERSIONS": "model_not_found",
    "VERSION_NOT_FOUND": "model_not_found",
    "PARAMETER_INVALID": "invalid_value",
    "OPTION_UNSUPPORTED": "unsupported_parameter",
    "CONTENT_UNSUPPORTED": "unsupported_content",
    "TOKEN_UNKNOWN": "invalid_value",
    "UNAUTHENTICATED": "invalid_api_key",
    "API_KEY_INVALID": "invalid_api_key",
    "API_KEY_EXPIRED": "invalid_api_key",
    "CREDENTIALS_MALFORMED": "invalid_api_key",
    "QUEUE_FULL": "rate_limit_exceeded",
    "CALLER_LIMIT": "rate_limit_exceeded",
}
"""OpenAI's words for our reasons, where it has any; else the code is our reason in small letters."""

PARAMETER = "parameter"
"""The fact of an error that names the member of the body that is wrong."""


def openai_status(reason: str, status_elsewhere: int) -> int:
    """The status of an error on these routes, by its reason and the status that it has elsewhere."""
    found = _STATUSES.get(reason, 0) or _PERMANENT.get(status_elsewhere, status_elsewhere)
    return int(found)


def error_object(error: HeadraceError) -> dict[str, object]:
    """An error in OpenAI's form, as it stands in the midst of a stream."""
    found = openai_status(error.reason, status.http_status(error))
    violated = error.violations[0].field if error.violations else None
    return _object(error.message, error.reason, found, error.facts.get(PARAMETER, violated))


def error_event(error: HeadraceError) -> bytes:
    """The event that tells clients of a stream that it failed: nobody takes what came for all of it."""
    return event(msgspec.json.encode({"error": error_object(error)}))


def _object(message: str, reason: str, found: int, parameter: str | None) -> dict[str, object]:
    kind = _TYPES.get(
        found, _INVALID if found < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    )
    code = _CODES.get(reason, reason.lower())
    return {
        "message": printable(message),
        "type": kind,
        "param": parameter,
        "code": code,
        "reason": reason,
    }


def in_openai_form(response: Response) -> None:
    """Write an error anew, wherever it was raised."""
    told: dict[str, Any] = msgspec.json.decode(b"".join(response.parts))
    response.status = openai_status(response.reason, response.status)
    violations = told.get("violations") or [{}]
    facts = told.get("facts") or {}
    parameter = facts.get(PARAMETER, violations[0].get("field"))
    error = _object(told["error"], response.reason, response.status, parameter)
    if facts:
        error["facts"] = facts
    body = msgspec.json.encode({"error": error})
    response.parts, response.size = (body,), len(body)
    response.headers["Content-Type"] = JSON_TYPE
    delay = told.get("retry_after_seconds")
    if delay is not None:
        response.headers["Retry-After-Ms"] = str(math.ceil(delay * 1000))
