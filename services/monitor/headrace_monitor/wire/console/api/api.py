"""The console's JSON: answers made off the event loop, with an ETag; changes from our own pages alone."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Protocol

import msgspec

from headrace import errors
from headrace.service.http.answers import JSON_TYPE, Response, json_response
from headrace.service.http.app import HandleBody
from headrace.service.http.requests import Body, Request
from headrace_monitor.domain.queries.query_engine import QueryEngine
from headrace_monitor.wire.console.console_app import ConsoleApp, is_from_here

PREFIX = "/api/v1"
MAX_BODY_BYTES = 256 * 1024

Make = Callable[[], object]
"""Makes the document of an answer, in the thread of the questions."""
Answer = Callable[[Request], Awaitable[Make]]
Change = Callable[[Request, Mapping[str, object]], Awaitable[object]]
"""Does what a request wants; the document of its answer."""


class Part(Protocol):
    """Some routes of the API."""

    def add_to(self, api: Api) -> None:
        """Add them."""


class Api:
    """Adds routes to the console's application."""

    def __init__(self, app: ConsoleApp, engine: QueryEngine) -> None:
        self.app = app
        self.run_in_thread = engine.run_in_thread

    def get(self, path: str, answer: Answer) -> None:
        """Have a question answered."""

        async def handle(request: Request) -> Response:
            make = await answer(request)
            body, etag = await self.run_in_thread(lambda: _encoded(make))
            headers = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Authorization, Cookie"}
            if etag in request.head.get("if-none-match"):
                return Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
            return Response(body, JSON_TYPE, headers=headers, compressible=True)

        self.app.add("GET", PREFIX + path, handle)

    def post(self, path: str, change: Change, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        """Have a change made."""

        async def handle(request: Request, body: Body) -> Response:
            found = await change(request, object_in(request, body))
            if isinstance(found, Response):
                return found
            return json_response(found, headers={"Cache-Control": "no-store"})

        self.app.add_with_form("POST", PREFIX + path, handle, max_body_bytes)

    def post_bytes(self, path: str, handle: HandleBody, max_body_bytes: int) -> None:
        """Have a change made by what reads its JSON itself."""

        async def checked(request: Request, body: Body) -> Response:
            check_sender(request)
            return await handle(request, body)

        self.app.add_with_form("POST", PREFIX + path, checked, max_body_bytes)


def check_sender(request: Request) -> None:
    """Let pass what one of our own pages, or a program, sends as JSON.

    Raises PermissionDenied (PAGE_FOREIGN) for a page of another site, InvalidArgument (CHANGE_INVALID).
    """
    if not is_from_here(request.head):
        raise errors.PermissionDenied(
            "PAGE_FOREIGN", "a page of another site sent this: only the console's own pages may"
        )
    if request.head.get("content-type").partition(";")[0].strip().lower() != JSON_TYPE:
        raise _invalid(f"the header Content-Type must be {JSON_TYPE}")


def object_in(request: Request, body: Body) -> Mapping[str, object]:
    """The JSON object that a change has. Raises as `check_sender` does, and InvalidArgument for another."""
    check_sender(request)
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(f"the body is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise _invalid("the body must be a JSON object")
    return found


def _invalid(text: str) -> errors.InvalidArgument:
    return errors.InvalidArgument("CHANGE_INVALID", text)


def _encoded(make: Make) -> tuple[bytes, str]:
    body = msgspec.json.encode(make())
    return body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
