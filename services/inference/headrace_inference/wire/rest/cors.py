"""Lets pages of other origins call (CORS), where their origins are allowed."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus

from headrace.service.http.answers import Response
from headrace.service.http.requests import Request
from headrace_inference.wire.rest.requests import HEADER_LENGTH

ANY = "*"
MAX_AGE_SECONDS = 600
"""How long a browser may remember an answer to its question; some take no longer time."""

_METHODS = "GET, POST"
_ASKED_METHOD, _ASKED_HEADERS = "access-control-request-method", "access-control-request-headers"
_EXPOSED = f"{HEADER_LENGTH}, Retry-After, Retry-After-Ms, X-Request-Id, OpenAI-Processing-Ms"
"""What a page may read of an answer beside its body and the headers that every page may read."""


class Cors:
    """Tells browsers that pages of these origins may call and read the answers.

    '*' allows all of them, but without what browsers keep of their users (cookies, credentials).
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = origins
        self._anybody = ANY in origins

    def preflight(self, request: Request) -> Response | None:
        """Answer a browser that asks, before it calls, whether it may; None: it is no such request."""
        head = request.head
        if head.method != "OPTIONS" or not self._allows(head.get("origin")):
            return None
        if not head.get(_ASKED_METHOD):
            return None
        headers = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
        }
        if asked := head.get(_ASKED_HEADERS):
            headers["Access-Control-Allow-Headers"] = (
                asked  # no header of a caller is dangerous here
            )
        return Response(status=HTTPStatus.NO_CONTENT, headers=headers)

    def finish(self, request: Request, response: Response) -> None:
        """Tell the page what it may read of an answer."""
        origin = request.head.get("origin")
        if not origin:
            return
        if not self._anybody:
            response.headers["Vary"] = "Origin"
        if not self._allows(origin):
            return
        response.headers["Access-Control-Allow-Origin"] = ANY if self._anybody else origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        if not self._anybody:
            response.headers["Access-Control-Allow-Credentials"] = "true"

    def _allows(self, origin: str) -> bool:
        return bool(origin) and (self._anybody or origin in self._origins)
