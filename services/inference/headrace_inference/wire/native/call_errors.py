"""Calls of the native package that end with an error: told, and counted once, as what their callers saw."""

from __future__ import annotations

import logging
import time

from headrace import status
from headrace.errors import HeadraceError
from headrace.service import logs
from headrace_inference.domain.ingress.bursts import RefusedByVersion
from headrace_inference.domain.ingress.receptions import Receptions, caller_left, known_error
from headrace_inference.domain.scheduling.requests import ErrorCounter, ToldApart
from headrace_inference.wire.codec.request_parser import names_in
from headrace_inference.wire.native.calls import deadline_of
from headrace_inference.wire.native.package import Details, Event, Responder

logger = logging.getLogger(__name__)

_OF_CALLERS = frozenset(("CANCELLED", "DEADLINE_EXCEEDED"))
"""Reasons of calls that have ended already: nobody can be told them."""


class CallErrors:
    """Answers calls of one front of the native package with errors."""

    def __init__(self, front: Responder, receptions: Receptions) -> None:
        self._front = front
        self._receptions = receptions

    def end(
        self,
        call_id: int,
        error: HeadraceError,
        statistics: ErrorCounter,
        received_ns: int,
        deadline_ns: int | None,
        of: ToldApart | None = None,
    ) -> None:
        """Tell a caller the error, and count that; if the caller is gone, count that instead."""
        trailers = status.trailing_metadata(error)
        code = status.grpc_code_number(error)
        with statistics.lock:  # whoever was told and asks finds it counted
            told = self._front.fail(call_id, code, error.message, trailers)
            now = time.monotonic_ns()
            if not told and error.reason not in _OF_CALLERS:
                error = caller_left(received_ns, deadline_ns, now)
            statistics.record_error(error.reason, now - received_ns, of)

    def refuse(self, event: Event, error: Exception, received_ns: int) -> None:
        """End a call that never was a request of a version: it was refused, or a bug kept it from that."""
        _, call_id, _, payload, _, details = event
        statistics: ErrorCounter | None = None
        of: ToldApart | None = None
        if isinstance(error, RefusedByVersion):
            of, statistics, error = error, error.statistics, error.error
        if not isinstance(error, HeadraceError):
            logger.error("a bug ended a call", exc_info=error)
        known = known_error(error)
        _log(details, known)
        if statistics is None:
            statistics = self._receptions.refusing(*names_in(payload), known)
        self.end(call_id, known, statistics, received_ns, deadline_of(event, received_ns), of)


def _log(details: Details, error: HeadraceError) -> None:
    if logger.isEnabledFor(logging.DEBUG):
        with logs.bound(logs.request_context(details[0])):
            logger.debug("request refused: %s", error.message, extra={"reason": error.reason})
