"""Takes the body of a request that is to be counted: also where it is refused before it is read."""

from __future__ import annotations

from headrace.errors import HeadraceError
from headrace.service.http.requests import Body, Request
from headrace_inference.domain.ingress.receptions import Receptions
from headrace_inference.wire.rest.exchanges import BodyExchange, HandleBody, RestApp

_GONE = "CANCELLED"


class CountedExchange(BodyExchange):
    """Runs a handler, which counts the request; before it does, this does."""

    __slots__ = ("_has_body", "_receptions")

    def __init__(
        self, request: Request, handle: HandleBody, app: RestApp, receptions: Receptions
    ) -> None:
        super().__init__(request, handle, app)
        self._receptions = receptions
        self._has_body = False

    def take_body(self, body: Body) -> None:
        """Run the handler."""
        self._has_body = True
        super().take_body(body)

    def fail(self, error: HeadraceError) -> None:
        """Answer so."""
        self._receptions.record_unread(error.reason)
        super().fail(error)

    def leave(self) -> None:
        """Cancel what runs."""
        if not self._has_body:
            self._receptions.record_unread(_GONE)
        super().leave()
