"""Names each request to its caller, by the id that the logs know it by."""

from __future__ import annotations

from headrace.service import logs
from headrace.service.http.answers import Response
from headrace.service.http.requests import Request

HEADER = "X-Request-Id"


def add_request_id(request: Request, response: Response) -> None:
    """Add the id to an answer; one that the caller chose is told back."""
    known = request.id or logs.request_context(request.head.headers).request_id
    response.headers.setdefault(HEADER, known)
