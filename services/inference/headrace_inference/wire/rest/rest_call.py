"""A request of a model over REST, from its head to its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from headrace.errors import HeadraceError
from headrace.service.http.answers import Response
from headrace.service.http.app import error_response
from headrace.service.http.requests import Body, Request
from headrace_inference.domain.ingress.loop_bursts import LoopBursts
from headrace_inference.domain.ingress.loop_calls import Arrival, LoopCall
from headrace_inference.domain.ingress.receptions import Receptions
from headrace_inference.domain.scheduling.requests import ResponsePart
from headrace_inference.wire.rest.body import HeldBytes
from headrace_inference.wire.rest.exchanges import RestApp


class Way(NamedTuple):
    """The way of a call: what runs it, what reads its body, and what takes that when it is there."""

    bursts: LoopBursts[Response]
    parse: Callable[[Any, Body], Arrival]
    take: Callable[[Any, Body], None]


class RestCall(LoopCall[Response]):
    """A request of a model, from its head to its answer. It holds what came of its body."""

    __slots__ = ("_held", "bursts", "http", "max_body_bytes", "model", "parse", "take", "version")

    def __init__(
        self,
        app: RestApp,
        receptions: Receptions,
        http: Request,
        way: Way,
    ) -> None:
        self.model = model = http.names["model"]
        self.version = version = http.names.get("version", "")
        super().__init__(receptions, lambda: (model, version))
        self.http = http
        self.bursts, self.parse, self.take = way
        self.max_body_bytes = app.max_body_bytes
        self._held = HeldBytes(app.budget)

    @property
    def size_bytes(self) -> int:
        """Return how large its body is."""
        return self._held.count

    def take_part(self, size: int) -> None:
        """So many more bytes are held until it is answered. Raises ResourceExhausted."""
        self._held.add(size)

    def take_body(self, body: Body) -> None:
        """All of its body is there."""
        self.take(self, body)

    def fail(self, error: HeadraceError) -> None:
        """Its body is not what it should be."""
        self.bursts.refuse(self, error)

    def leave(self) -> None:
        """Its client has gone."""
        self.release()
        self.bursts.leave(self)

    def take_answer(self, encoded: Response, part: ResponsePart) -> None:
        """Send its answer."""
        self.release()
        self.http.respond(encoded)

    def take_error(self, error: HeadraceError) -> None:
        """Send the error."""
        self.release()
        error.forget_history()
        self.http.respond(error_response(error))

    def release(self) -> None:
        """It is answered: what it held of its body is free."""
        self._held.release()
