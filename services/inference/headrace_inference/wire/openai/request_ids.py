"""Names each request to its caller, by the id that the logs know it by."""

from __future__ import annotations

from collections.abc import Callable

from headrace.service import logs
from headrace.service.http.answers import Response
from headrace.service.http.requests import Request

HEADER = "X-Request-Id"


def add_request_id(
    is_ours: Callable[[Request], bool],
) -> Callable[[Request, Response], None]:
    """Return what adds the id to the answers to some requests; one that the caller chose is told back."""

    def add(request: Request, response: Response) -> None:
        if is_ours(request):
            known = request.id or logs.request_context(request.head.headers).request_id
            response.headers.setdefault(HEADER, known)

    return add
