"""The list of models that take or give text, and each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from headrace.errors import HeadraceError, NotFound
from headrace.security.access import Access
from headrace.security.callers import current_caller
from headrace.security.verbs import Verb
from headrace.service.http.answers import Response, json_response
from headrace.service.http.requests import Request
from headrace.state.language_records import VersionKind
from headrace.state.records import VersionRecord
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.routing.table import RoutingTable, state_unread
from headrace_inference.wire.openai.model_names import ServedNames

_OWNER = "headrace"

IsSeen = Callable[[str], bool]


class ModelRoutes:
    """Answers with what OpenAI's clients may call here."""

    def __init__(self, ingress: Ingress, names: ServedNames) -> None:
        self._ingress = ingress
        self._names = names
        self._access = ingress.callers.access

    async def models(self, _: Request) -> Response:
        """List what the caller may see."""
        is_seen = _seen_by(self._access)
        # In a thread: there may be 100,000 models.
        shown = await asyncio.to_thread(self._listed, self._ingress.reconciler.table, is_seen)
        return json_response({"object": "list", "data": shown})

    async def model(self, request: Request) -> Response:
        """Describe one. Raises NotFound, PermissionDenied."""
        shown_id = request.names["id"]
        asked = self._names.asked(shown_id)
        name = asked.name.partition("@")[0]
        if not _seen_by(self._access)(name):
            raise self._access.denied(current_caller().identity, Verb.READ, name)
        record = self._ingress.reconciler.table.record(asked.name, asked.version)
        if record.kind is VersionKind.TENSORS:
            raise NotFound(
                "MODEL_NOT_FOUND",
                f"'{shown_id}' takes and gives tensors: call /v2/models/{name}/infer; GET /v1/models lists "
                "the models of text",
            )
        return json_response(_described(shown_id, record))

    def _listed(self, table: RoutingTable, is_seen: IsSeen) -> list[dict[str, object]]:
        if not table.catalog.known:
            raise state_unread(table.catalog)
        found = dict(_served(table, is_seen))
        for name, meant in self._names.names.items():
            asked = self._names.asked(name)
            if is_seen(asked.name.partition("@")[0]):
                _add(found, name, table, asked.name, asked.version, parent=meant)
        return list(found.values())


def _seen_by(access: Access) -> IsSeen:
    """Return what tells the models that the present caller may read or call."""
    identity = current_caller().identity
    reads, calls = access.models_for(identity), access.models_for(identity, Verb.INFER)
    return lambda name: reads(name) or calls(name)


def _served(table: RoutingTable, is_seen: IsSeen) -> Iterator[tuple[str, dict[str, object]]]:
    found: dict[str, dict[str, object]] = {}
    for name in table.catalog.model_names():
        if not is_seen(name):
            continue
        _add(found, name, table, name)
        model = table.catalog.models.get(name)
        for alias in sorted(model.aliases) if model is not None else ():
            _add(found, f"{name}@{alias}", table, f"{name}@{alias}", parent=name)
    yield from found.items()


def _add(
    found: dict[str, dict[str, object]],
    shown_id: str,
    table: RoutingTable,
    name: str,
    version: str = "",
    parent: str | None = None,
) -> None:
    """Add what a name leads to, unless it leads to nothing here, or to tensors."""
    try:
        record = table.record(name, version)
    except HeadraceError:
        return
    if record.kind is not VersionKind.TENSORS:
        found[shown_id] = _described(shown_id, record, parent)


def _described(
    shown_id: str, record: VersionRecord, parent: str | None = None
) -> dict[str, object]:
    facts = record.language
    assert facts is not None, "it has a kind"
    described: dict[str, Any] = {
        "id": shown_id,
        "object": "model",
        "created": int(record.created_at),
        "owned_by": _OWNER,
        "root": record.model,
        "parent": parent,
        "max_model_len": context_length(record),
        "version": str(record.number),
        "kind": str(record.kind),
        "capabilities": list(facts.capabilities),
    }
    return described


def context_length(record: VersionRecord) -> int:
    """The most tokens of a prompt and its answer: the model's, or what the serving config says."""
    assert record.language is not None, "it is of text"
    return record.config.generation.context_length or record.language.context_length
