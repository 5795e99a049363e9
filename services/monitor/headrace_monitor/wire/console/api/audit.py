"""GET /api/v1/audit and /models/{model}/audit: who changed what, as far as the caller may read it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Protocol

from headrace.security.callers import current_caller
from headrace.service.http.requests import Request
from headrace_monitor.domain.catalog.history import ChangesPage, ChangesQuery, Mark
from headrace_monitor.domain.catalog.on_behalf import OnBehalf
from headrace_monitor.wire.console.api import parameters
from headrace_monitor.wire.console.api.api import Api, Make


class ChangeLog(Protocol):
    """Reads the log of changes for callers."""

    async def changes(self, caller: OnBehalf, query: ChangesQuery) -> ChangesPage:
        """A page of it. Raises the registry's errors."""


class AuditApi:
    """Answers who changed what."""

    def __init__(self, log: ChangeLog) -> None:
        self._log = log

    def add_to(self, api: Api) -> None:
        """Add the routes."""
        self._credentials_of = api.app.credentials_of
        api.get("/audit", self._all)
        api.get("/models/{model}/audit", self._of_model)

    async def _all(self, request: Request) -> Make:
        return await self._page(request, parameters.text(request, "model"))

    async def _of_model(self, request: Request) -> Make:
        return await self._page(request, request.names["model"])

    async def _page(self, request: Request, model: str) -> Make:
        query = ChangesQuery(
            model=model,
            actor=parameters.text(request, "actor"),
            kind=parameters.text(request, "kind"),
            since=parameters.seconds(request, "since", 0.0),
            until=parameters.seconds(request, "until", 0.0),
            size=parameters.whole_number(request, "size", 100, 1, 1000),
            page=parameters.text(request, "page"),
        )
        caller = OnBehalf(
            self._credentials_of(request), current_caller().claim, request_id=request.id
        )
        found = await self._log.changes(caller, query)
        return lambda: {
            "changes": [_change_json(change) for change in found.changes],
            "next": found.next_page,
        }


def _change_json(change: Mark) -> dict[str, object]:
    return asdict(change) | {"at": change.at or None}
