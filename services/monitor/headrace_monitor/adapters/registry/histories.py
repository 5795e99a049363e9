"""Reads the histories of models, and keeps those that are asked for until something of them changes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import aclosing, suppress

from headrace import errors
from headrace.client import methods, resource_messages
from headrace.client.resources import Change
from headrace.conversion.times import timestamp_from_proto, timestamp_to_proto
from headrace.registry.v1 import registry_service_pb2
from headrace.resource_names import model_resource
from headrace_monitor.adapters.registry.calls import RegistryCalls
from headrace_monitor.domain.catalog.history import (
    ChangesPage,
    ChangesQuery,
    History,
    Mark,
    routes_in,
)
from headrace_monitor.domain.catalog.on_behalf import OnBehalf

MAX_KEPT = 100
"""Histories that are kept: those that were asked for last."""

MAX_MARKS = 1000
"""Changes of a model that are read, the newest."""

WATCH_SECONDS = 5.0


class Histories:
    """The histories of models, read when somebody asks."""

    def __init__(self, calls: RegistryCalls) -> None:
        self._calls = calls
        self._kept: OrderedDict[str, History] = OrderedDict()
        self._changes = 0

    def forget(self, model: str) -> None:
        """Something of a model has changed, or of any ('')."""
        self._changes += 1
        if model:
            self._kept.pop(model, None)
        else:
            self._kept.clear()

    async def of(self, model: str) -> History:
        """The history of a model; while the registry is away that which is known, or none."""
        kept = self._kept.get(model)
        if kept is not None:
            self._kept.move_to_end(model)
            return kept
        changes = self._changes
        try:
            found = await self._read(model)
        except errors.HeadraceError:  # the catalog says what is wrong
            return History()
        if changes == self._changes:  # else it may be out of date already
            self._kept[model] = found
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return found

    async def changes(self, caller: OnBehalf, query: ChangesQuery) -> ChangesPage:
        """A page of the log of changes, as far as a caller may read it. Raises the registry's errors."""
        request = registry_service_pb2.ListChangesRequest(
            model=model_resource(query.model) if query.model else "",
            actor=query.actor,
            kind=query.kind,
            page_size=query.size,
            page_token=query.page,
        )
        if query.since:
            request.start_time.CopyFrom(timestamp_to_proto(query.since))
        if query.until:
            request.end_time.CopyFrom(timestamp_to_proto(query.until))
        page = await self._calls.ask_for(caller, methods.LIST_CHANGES, request)
        return ChangesPage(tuple(_mark(each) for each in page.changes), page.next_page_token)

    async def _read(self, model: str) -> History:
        request = registry_service_pb2.ListChangesRequest(
            model=model_resource(model), page_size=MAX_MARKS
        )
        page = await self._calls.ask(methods.LIST_CHANGES, request)
        marks = [_mark(each) for each in page.changes]
        return History(tuple(reversed(marks)), routes_in(await self._after(model)))

    async def _after(self, model: str) -> list[tuple[int, object]]:
        """What the changes of a model that are kept left, by revision."""
        newest = await self._calls.ask(
            methods.LIST_MODELS, registry_service_pb2.ListModelsRequest(page_size=1)
        )
        request = registry_service_pb2.WatchChangesRequest(
            model=model_resource(model), progress=True
        )
        found: list[tuple[int, object]] = []
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(WATCH_SECONDS),
                aclosing(self._calls.watch(methods.WATCH_CHANGES, request)) as messages,
            ):
                async for message in messages:
                    if message.kind:
                        found += _left(resource_messages.change_from_proto(message))
                    if not message.kind or message.revision >= newest.revision:
                        break
        return found[-MAX_MARKS:]


def _left(change: Change) -> list[tuple[int, object]]:
    return [
        (change.revision, after) for after in (change.after, *(e.after for e in change.further))
    ]


def _mark(change: registry_service_pb2.LoggedChange) -> Mark:
    return Mark(
        change.revision,
        timestamp_from_proto(change.create_time),
        change.kind,
        change.resource,
        change.actor,
        change.reason,
        tuple(change.further),
        change.proof,
        change.claim,
        change.peer,
        change.request_id,
        change.hash,
    )
