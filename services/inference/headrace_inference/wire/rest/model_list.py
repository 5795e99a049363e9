"""The list of models, page by page."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence

from headrace.errors import HeadraceError, InvalidArgument
from headrace.service.http.answers import Response, json_response
from headrace.service.http.requests import Request
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.routing.table import RoutingTable, state_unread
from headrace_inference.wire.codec.messages import state_here
from headrace_inference.wire.rest.exchanges import RestApp
from headrace_inference.wire.sight import IsSeen, models_seen

PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
"""As of the registry's lists; a page of so many models takes milliseconds."""

_MAX_DIGITS = 4


def add_model_list_route(app: RestApp, ingress: Ingress) -> None:
    """Add GET /v2/models to an app."""

    async def models(request: Request) -> Response:
        page_size = _page_size(request.head.query.get("page_size"))
        after = request.head.query.get("page_token", "")
        # In a thread: a model may have thousands of versions.
        is_seen = models_seen(ingress.callers.access)
        table = ingress.reconciler.table
        page = await asyncio.to_thread(page_of, table, page_size, after, is_seen)
        return json_response(page)

    app.add("GET", "/v2/models", models)


def _page_size(text: str | None) -> int:
    if text is None:
        return PAGE_SIZE
    digits = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    if digits and 1 <= int(text) <= MAX_PAGE_SIZE:
        return int(text)
    raise InvalidArgument(
        "PAGE_SIZE_INVALID",
        f"page_size is '{text}'; a number from 1 to {MAX_PAGE_SIZE} is expected",
    )


def page_of(
    table: RoutingTable, page_size: int, after: str, is_seen: IsSeen | None = None
) -> dict[str, object]:
    """The models whose names come after `after`, in order, and the token of the next page ('': the last).

    Without `is_seen` all are shown. Raises Unavailable before the shared state was read.
    """
    if not table.catalog.known:
        raise state_unread(table.catalog)
    names: Sequence[str] = table.catalog.model_names()
    if is_seen is not None:
        names = [name for name in names if is_seen(name)]
    start = bisect_right(names, after)
    shown = names[start : start + page_size]
    more = start + page_size < len(names)
    return {
        "models": [_model(table, name) for name in shown],
        "next_page_token": shown[-1] if more else "",
    }


def _model(table: RoutingTable, name: str) -> dict[str, object]:
    return {
        "name": name,
        "ready": _is_ready(table, name),
        "versions": [_version(table, name, number) for number in table.catalog.numbers_of(name)],
    }


def _is_ready(table: RoutingTable, name: str) -> bool:
    """Return whether a request that names no version is answered here."""
    try:
        table.record(name, "")
    except HeadraceError:
        return False
    return True


def _version(table: RoutingTable, name: str, number: int) -> dict[str, str]:
    state, reason = state_here(table, (name, number))
    return {"version": str(number), "state": state.value, "reason": reason}
