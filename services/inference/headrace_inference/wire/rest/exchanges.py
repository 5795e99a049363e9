"""The application of the REST port: its routes, whose bodies are counted, and what all answers have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from headrace.errors import HeadraceError
from headrace.service.http.answers import Response
from headrace.service.http.app import HttpApp, Refusal, TaskExchange, error_response
from headrace.service.http.requests import Body, Exchange, Request
from headrace.service.http.router import Match
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.receptions import Reception
from headrace_inference.wire.rest.body import (
    BodyBudget,
    HeldBytes,
    checked_encoding,
    inflate,
    too_large,
)
from headrace_inference.wire.rest.cors import Cors
from headrace_inference.wire.rest.errors import count_errors, not_found

_RUNS = ("/infer", "/generate", "/generate_stream")
"""The ends of routes that run a model."""

HandleBody = Callable[[Request, Body], Awaitable[Response]]


class RestApp(HttpApp):
    """Routes of REST. `cors` speaks for pages of other origins."""

    def __init__(
        self, ingress: Ingress, max_body_bytes: int, budget: BodyBudget, cors: Cors | None = None
    ) -> None:
        super().__init__(
            lambda path: not_found(path, self.router.templates),
            ingress.receptions.record_unread,
            ingress.callers.access,
        )
        self._receptions = ingress.receptions
        self.max_body_bytes = max_body_bytes
        self.budget = budget
        self.counted: set[str] = set()
        """Templates of further routes that run a model, which the body names."""
        self._cors = cors
        self.finishers.append(count_errors(ingress.rest_errors))
        if cors is not None:
            self.finishers.append(cors.finish)

    def open(self, request: Request) -> Exchange:
        """Begin with a request."""
        if self._cors is not None:
            answer = self._cors.preflight(request)
            if answer is not None:
                return Refusal(request, answer)
        return super().open(request)

    def refuse(self, request: Request, error: HeadraceError) -> Exchange:
        """Answer a caller who may not; where he asked for a run, it counts as one that was refused."""
        match = request.head.memo
        if not isinstance(match, Match) or not self._runs(match.template):
            return super().refuse(request, error)
        names = request.names.get("model", ""), request.names.get("version", "")
        return RefusedRun(request, error, self._receptions.begin(lambda: names))

    def _runs(self, template: str) -> bool:
        return template.endswith(_RUNS) or template in self.counted

    def add_with_body(self, verb: str, template: str, handle: HandleBody) -> None:
        """Have a handler answer requests, which gets the body, unpacked."""
        self.router.add(verb, template, lambda request: BodyExchange(request, handle, self))

    def hold_unread(self, size: int) -> None:
        """Count answers that clients do not read among what all wires hold."""
        self.budget.hold_answers(size)

    def too_large(self, max_bytes: int) -> HeadraceError:
        """Return why a body is refused."""
        return too_large(max_bytes)

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The tasks that run handlers."""
        return self._tasks


class RefusedRun(Refusal):
    """Refuses a run, once its body is over, and counts that."""

    __slots__ = ("_error", "_reception")

    def __init__(self, request: Request, error: HeadraceError, reception: Reception) -> None:
        super().__init__(request, error_response(error))
        self._error = error
        self._reception = reception

    def take_body(self, body: Body) -> None:
        """Answer."""
        self._reception.failed(self._error)
        super().take_body(body)

    def fail(self, error: HeadraceError) -> None:
        """Answer."""
        self._reception.failed(self._error)
        super().fail(error)

    def leave(self) -> None:
        """Nobody waits."""
        self._reception.left()


class BodyExchange(TaskExchange):
    """Runs a handler with a body that counts from its arrival until the request is answered."""

    __slots__ = ("_held",)

    def __init__(self, request: Request, handle: HandleBody, app: RestApp) -> None:
        super().__init__(request, self._unpacking(handle), app.tasks, app.max_body_bytes)
        self._held = HeldBytes(app.budget)

    def _unpacking(self, handle: HandleBody) -> HandleBody:
        async def run(request: Request, body: Body) -> Response:
            try:
                encoding = checked_encoding(request.head.get("content-encoding"))
                if encoding:
                    packed_bytes = len(body)
                    body = await asyncio.to_thread(inflate, body, encoding, self.max_body_bytes)
                    self._held.add(len(body) - packed_bytes)
                return await handle(request, body)
            finally:
                self._held.release()

        return run

    def take_part(self, size: int) -> None:
        """Count it. Raises ResourceExhausted."""
        self._held.add(size)

    def fail(self, error: HeadraceError) -> None:
        """Answer so."""
        self._held.release()
        super().fail(error)

    def leave(self) -> None:
        """Cancel what runs."""
        self._held.release()
        super().leave()
