"""Counts the errors of REST requests by route, and names what a path that leads nowhere was meant for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from headrace.service.http.answers import Response
from headrace.service.http.requests import Request
from headrace.service.http.router import Match
from headrace_inference.wire.rest.near_routes import near_routes

MAX_PATH_CHARACTERS = 200

_OPERATIONS = ("/healthz", "/metrics", "/readyz")

RestError = tuple[str, str, str]
"""The verb, the route and the reason of an error; '' for verb and route of what has no route."""


def count_errors(counts: Counter[RestError]) -> Callable[[Request, Response], None]:
    """Count the errors that callers are told."""

    def count(request: Request, response: Response) -> None:
        if response.reason:
            counts[_place(request, response.reason)] += 1

    return count


def _place(request: Request, reason: str) -> RestError:
    """Return where an error counts: callers cannot make verbs or paths up."""
    match = request.head.memo
    if isinstance(match, Match):
        return request.head.method, match.template, reason
    return "", "", reason


def not_found(path: str, templates: Sequence[str]) -> str:
    """Say that there is nothing at a path, and what may have been meant."""
    shown = path[:MAX_PATH_CHARACTERS]
    if path in _OPERATIONS:
        return (
            f"{shown} is at the port of metrics (--metrics-port, 8002 by default); this one is REST"
        )
    near = near_routes(path, templates)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return f"there is nothing at {shown}; {meant}/docs lists all paths"
