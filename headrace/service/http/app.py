"""Answers requests by their routes: errors in JSON, and what all answers have added to them."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

import msgspec

from headrace import errors, status
from headrace.security import callers
from headrace.security.access import OPEN_ACCESS, Access
from headrace.service import logs
from headrace.service.http.admission import AuthorizationOf, HttpGate, Open
from headrace.service.http.answers import JSON_TYPE, Response, bug, refusal
from headrace.service.http.requests import Body, Exchange, Request
from headrace.service.http.router import Match, NoMatch, Router

logger = logging.getLogger(__name__)

Handle = Callable[[Request], Awaitable[Response]]
HandleBody = Callable[[Request, Body], Awaitable[Response]]
Finish = Callable[[Request, Response], None]
NotFoundText = Callable[[str], str]
"""Says of a path that leads nowhere what may have been meant."""

MAX_BODY_BYTES = 2**20
MAX_SHOWN = 200
MAX_ERROR_CHARACTERS = 1000


class HttpApp:
    """An application of routes. `finishers` look at every answer, in their order.

    Who may ask for what is decided by `access`; `authorization_of` finds what a head without the header
    `authorization` brings instead.
    """

    def __init__(
        self,
        not_found: NotFoundText,
        refused: Callable[[str], None] = lambda _: None,
        access: Access = OPEN_ACCESS,
        authorization_of: AuthorizationOf | None = None,
    ) -> None:
        self.router: Router[Open] = Router()
        self.finishers: list[Finish] = []
        self.not_found = not_found
        self.refused = refused
        self._gate = HttpGate(access, authorization_of) if access.is_on else None
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, verb: str, template: str, handle: Handle) -> None:
        """Have a handler answer requests; a body is dropped."""

        async def without_body(request: Request, _: Body) -> Response:
            return await handle(request)

        def open_one(request: Request) -> Exchange:
            return TaskExchange(request, without_body, self._tasks, -1)

        self.router.add(verb, template, open_one)

    def add_with_form(
        self, verb: str, template: str, handle: HandleBody, max_body_bytes: int = MAX_BODY_BYTES
    ) -> None:
        """Have a handler answer requests, which gets the body as it was sent."""
        self.router.add(
            verb,
            template,
            lambda request: TaskExchange(request, handle, self._tasks, max_body_bytes),
        )

    def open(self, request: Request) -> Exchange:
        """Begin with a request."""
        head = request.head
        match: Match[Open] | NoMatch | None = head.memo
        if match is None:
            match = head.memo = self.router.find(head.method, head.raw_path)
        if isinstance(match, Match):
            request.names = dict(match.names)
            if self._gate is None:
                return match.handler(request)
            return self._gate.open(request, match, self.refuse)
        return Refusal(request, self._no_match(request, match))

    def refuse(self, request: Request, error: errors.HeadraceError) -> Exchange:
        """Answer a caller who may not, once the body is over; it is dropped."""
        return Refusal(request, error_response(error))

    def finish(self, request: Request, response: Response) -> None:
        """Have the finishers look at an answer."""
        for finisher in self.finishers:
            finisher(request, response)

    def hold_unread(self, size: int) -> None:
        """Count them; there is nothing to count with here."""

    def too_large(self, max_bytes: int) -> errors.HeadraceError:
        """Return why a body is refused."""
        return errors.InvalidArgument(
            "BODY_TOO_LARGE",
            f"the request's body is larger than {max_bytes} bytes",
            facts={"limit": str(max_bytes)},
        )

    def _no_match(self, request: Request, match: NoMatch) -> Response:
        head = request.head
        path = printable(head.path[:MAX_SHOWN])
        if not match.allowed:
            text = printable(self.not_found(head.path)[:MAX_ERROR_CHARACTERS])
            return refusal(HTTPStatus.NOT_FOUND, text)
        taken = " or ".join(verb for verb in match.allowed if verb != "HEAD")
        text = f"{path} takes {taken}, not {head.method[:MAX_SHOWN]}"
        return refusal(HTTPStatus.METHOD_NOT_ALLOWED, text, {"Allow": ",".join(match.allowed)})


class Refusal:
    """Answers a request with what is known beforehand, once its body is over."""

    __slots__ = ("_request", "_response")
    max_body_bytes = -1

    def __init__(self, request: Request, response: Response) -> None:
        self._request = request
        self._response = response

    def take_part(self, size: int) -> None:
        """It is dropped."""

    def take_body(self, body: Body) -> None:  # noqa: ARG002  # dropped
        """Answer."""
        self._request.respond(self._response)

    def fail(self, error: errors.HeadraceError) -> None:  # noqa: ARG002  # there was no body to fail
        """Answer."""
        self._request.respond(self._response)

    def leave(self) -> None:
        """Nobody waits."""


class TaskExchange:
    """Runs a handler as a task, once the body is there. The task is cancelled when the client goes."""

    __slots__ = ("_handle", "_request", "_task", "_tasks", "max_body_bytes")

    def __init__(
        self,
        request: Request,
        handle: HandleBody,
        tasks: set[asyncio.Task[None]],
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.max_body_bytes = max_body_bytes
        self._request = request
        self._handle = handle
        self._tasks = tasks
        self._task: asyncio.Task[None] | None = None

    def take_part(self, size: int) -> None:
        """Count it; there is nothing to count with here."""

    def take_body(self, body: Body) -> None:
        """Run the handler."""
        self._task = task = asyncio.get_running_loop().create_task(self._run(body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def fail(self, error: errors.HeadraceError) -> None:
        """Answer so."""
        self._request.respond(error_response(error))

    def leave(self) -> None:
        """Cancel what runs."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self, body: Body) -> None:
        request = self._request
        with bound(request):
            try:
                response = await self._handle(request, body)
            except errors.HeadraceError as error:
                error.forget_history()
                response = error_response(error)
            except Exception:
                logger.exception("a bug ended a request", extra={"path": request.head.path})
                response = error_response(bug())
        request.respond(response)


@contextmanager
def bound(request: Request) -> Iterator[None]:
    """Have what is done inside belong to a request: its ids in records, and its caller."""
    headers = request.head.headers
    caller = callers.caller_of(headers, request.remote, request.identity)
    context = logs.request_context(headers)
    request.id = context.request_id
    with logs.bound(context), callers.calling(caller):
        yield


def error_response(
    error: errors.HeadraceError, extra: Mapping[str, object] | None = None
) -> Response:
    """The answer that says what an error says, with `extra` members in its body."""
    headers = {}
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after_seconds is not None:  # HTTP counts whole seconds
        headers["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    body = msgspec.json.encode(_error_body(error) | dict(extra or {}))
    return Response(
        body, JSON_TYPE, status=status.http_status(error), headers=headers, reason=error.reason
    )


def _error_body(error: errors.HeadraceError) -> dict[str, object]:
    body: dict[str, object] = {"error": printable(error.message), "reason": error.reason}
    if error.facts:
        body["facts"] = {key: printable(value) for key, value in error.facts.items()}
    if error.violations:
        body["violations"] = [
            {"field": wrong.field, "description": wrong.description} for wrong in error.violations
        ]
    if error.retry_after_seconds is not None:
        body["retry_after_seconds"] = error.retry_after_seconds
    return body


def printable(text: str) -> str:
    """A path may bring bytes that are no UTF-8; an answer must not."""
    return text.encode(errors="replace").decode()
