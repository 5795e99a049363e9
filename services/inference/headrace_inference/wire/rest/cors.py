"""Lets pages of other origins call (CORS), where their origins are allowed."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from headrace_inference.wire.rest.requests import HEADER_LENGTH

ANY = "*"
MAX_AGE_SECONDS = 600
"""How long a browser may remember an answer to its question; some take no longer time."""

_METHODS = "GET, POST"
_ASKED_METHOD, _ASKED_HEADERS = "Access-Control-Request-Method", "Access-Control-Request-Headers"
_EXPOSED = f"{HEADER_LENGTH}, Retry-After"
"""What a page may read of an answer beside its body and the headers that every page may read."""


def cors(origins: Collection[str]) -> Middleware:
    """Around every request: tells browsers that pages of these origins may call and read the answers.

    '*' allows all of them, but without what browsers keep of their users (cookies, credentials).
    """

    @web.middleware
    async def allow(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is None:
            return await handler(request)
        allowed = ANY in origins or origin in origins
        if allowed and request.method == "OPTIONS" and _ASKED_METHOD in request.headers:
            response = _answer(request)
        else:
            response = await handler(request)
        if ANY not in origins:
            response.headers.add("Vary", "Origin")
        if allowed:
            _tell(response, origin, anybody=ANY in origins)
        return response

    return allow


def _answer(request: web.Request) -> web.StreamResponse:
    """Return what a browser hears that asks, before it calls, whether it may."""
    headers = {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }
    if asked := request.headers.get(_ASKED_HEADERS):
        headers["Access-Control-Allow-Headers"] = asked  # no header of a caller is dangerous here
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)


def _tell(response: web.StreamResponse, origin: str, *, anybody: bool) -> None:
    response.headers["Access-Control-Allow-Origin"] = ANY if anybody else origin
    response.headers["Access-Control-Expose-Headers"] = _EXPOSED
    if not anybody:
        response.headers["Access-Control-Allow-Credentials"] = "true"
