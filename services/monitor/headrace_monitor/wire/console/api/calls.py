"""GET /api/v1/models/{model}/calls: calls to copy, with the model's own names, shapes and address."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from headrace import addresses
from headrace.client.resources import Version
from headrace.model_calls.example_inputs import example_inputs
from headrace.model_calls.places import CopiedCall, Place
from headrace.model_calls.protocol_calls import protocol_calls, request_of
from headrace.model_calls.text_calls import text_call
from headrace.model_calls.text_protocol_calls import text_protocol_calls
from headrace.service.http.requests import Request
from headrace.state.records import ReplicaRecord
from headrace_monitor.domain.catalog.catalog import CatalogModel
from headrace_monitor.domain.catalog.choice import entry_of, number_of, serving
from headrace_monitor.wire.console.api import parameters
from headrace_monitor.wire.console.api.api import Api, Make
from headrace_monitor.wire.console.api.models import FollowedCatalog

NOWHERE = "REPLICA:PORT"
"""Stands for an address that is not known."""

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
"""What a shell takes for a word, whoever wrote the header."""

MAX_ELEMENTS = 4096
"""Of an example that is sent along for the form; larger ones are written by calls alone."""


@dataclass(frozen=True, slots=True)
class CallPlaces:
    """How models are called: at a public address, or at replicas themselves."""

    public_address: str = ""
    is_tls: bool = False
    needs_key: bool = False

    def of(self, replicas: Iterable[ReplicaRecord], here: str = "") -> Place:
        """The place at which callers reach what one of these replicas serves.

        Those at Unix sockets are behind a gateway, which the caller reached at the host that he named.
        """
        if self.public_address:
            is_tls = addresses.is_over_tls(self.public_address, otherwise=self.is_tls)
            named = addresses.without_scheme(self.public_address)
            return Place(named, named, is_tls, self.needs_key)
        for replica in replicas:
            http, grpc = replica.http_address, replica.grpc_address
            if not (http.startswith("unix:") or grpc.startswith("unix:")):
                http, grpc = addresses.reachable(http), addresses.reachable(grpc)
                return Place(http, grpc, self.is_tls, self.needs_key)
        here = here if _HOST.fullmatch(here) else NOWHERE
        return Place(here, here, self.is_tls, self.needs_key)


class CallsApi:
    """Answers how a model is called."""

    def __init__(self, catalog: FollowedCatalog, places: CallPlaces) -> None:
        self._catalog = catalog
        self._places = places

    def add_to(self, api: Api) -> None:
        """Add the route."""
        api.get("/models/{model}/calls", self._calls)

    async def _calls(self, request: Request) -> Make:
        self._catalog.asked()
        snapshot = self._catalog.snapshot
        entry = entry_of(snapshot, request.names["model"])
        wanted = parameters.text(request, "version")
        number = number_of(entry, wanted)
        found = serving(snapshot, entry, number)
        place = self._places.of(found, request.head.get("host"))
        return lambda: _answer(entry, wanted, number, place, is_ready=bool(found))


def _answer(
    entry: CatalogModel, wanted: str, number: int, place: Place, *, is_ready: bool
) -> dict[str, object]:
    version = entry.versions.get(number)
    calls = _calls(entry.model.name, wanted, place, version) if version else []
    return {
        "model": entry.model.name,
        "version": wanted or None,
        "http": place.http,
        "grpc": place.grpc,
        "tls": place.is_tls,
        "ready": is_ready,
        "kind": version.kind if version else None,
        "calls": [asdict(call) for call in calls],
        "example": _example(entry.model.name, version) if version else None,
    }


def _calls(model: str, wanted: str, place: Place, version: Version) -> Iterable[CopiedCall]:
    if version.language is not None:
        return text_protocol_calls(model, wanted, place, version.language)
    inputs = next(example_inputs(version.signature), ())
    outputs = [spec.name for spec in version.signature.outputs]
    return protocol_calls(model, wanted, place, inputs, outputs)


def _example(model: str, version: Version) -> dict[str, object] | None:
    """A body for the form; None where it would be long."""
    if version.language is not None:
        return text_call(model, version.language).body
    inputs = next(example_inputs(version.signature), ())
    if sum(tensor.size for tensor in inputs) > MAX_ELEMENTS:
        return None
    return request_of(inputs)
