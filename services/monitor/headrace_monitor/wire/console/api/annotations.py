"""GET /api/v1/models/{model}/annotations and /compare, and /versions: what is said of versions."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from headrace.client.annotation_resources import VersionAnnotations
from headrace.client.reference_resources import VersionReference
from headrace.client.resources import Version
from headrace.lifecycle.versions.comparison import Described, compare_versions
from headrace.security.callers import current_caller
from headrace.service.http.requests import Request
from headrace.state.annotation_records import Metric
from headrace.state.gate_records import GateRecord
from headrace_monitor.domain.catalog.annotated import (
    FoundPage,
    VersionSearch,
    compared_with,
    verdict_on,
)
from headrace_monitor.domain.catalog.catalog import CatalogModel
from headrace_monitor.domain.catalog.choice import entry_of
from headrace_monitor.domain.catalog.on_behalf import OnBehalf
from headrace_monitor.wire.console.api import parameters
from headrace_monitor.wire.console.api.annotations_json import (
    annotations_json,
    comparison_json,
    found_json,
    gate_json,
    named_metrics,
    verdict_json,
)
from headrace_monitor.wire.console.api.api import Api, Make
from headrace_monitor.wire.console.api.models import FollowedCatalog

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
MODEL_VERSIONS = 100
"""Versions of a model that one answer tells of."""
MOST = 2**63 - 1
MAX_FILTER = 2048
"""Characters of a filter, as the registry takes them, and of a page's token."""


class Annotations(Protocol):
    """Reads what is said of versions, for callers. Raises the registry's errors."""

    async def of(self, caller: OnBehalf, model: str, number: int) -> VersionAnnotations:
        """All that is said of a version."""

    async def version(self, caller: OnBehalf, model: str, number: int) -> Version:
        """A version."""

    async def reference(self, caller: OnBehalf, model: str, number: int) -> VersionReference | None:
        """The reference of a version's data."""

    async def search(self, caller: OnBehalf, search: VersionSearch) -> FoundPage:
        """A page of the versions for which a filter holds."""


class AnnotationsApi:
    """Answers what is said of versions, and what gates say of them."""

    def __init__(self, catalog: FollowedCatalog, annotations: Annotations) -> None:
        self._catalog = catalog
        self._annotations = annotations

    def add_to(self, api: Api) -> None:
        """Add the routes."""
        self._api = api
        api.get("/versions", self._found)
        api.get("/models/{model}/annotations", self._of_model)
        api.get("/models/{model}/compare", self._compared)

    def _caller(self, request: Request) -> OnBehalf:
        authorization = self._api.app.credentials_of(request)
        return OnBehalf(authorization, current_caller().claim, request_id=request.id)

    async def _found(self, request: Request) -> Make:
        search = VersionSearch(
            parameters.text(request, "model"),
            parameters.text(request, "filter", MAX_FILTER),
            parameters.text(request, "order_by"),
            parameters.whole_number(request, "size", PAGE_SIZE, 1, MAX_PAGE_SIZE),
            parameters.text(request, "page", MAX_FILTER),
        )
        page = await self._annotations.search(self._caller(request), search)

        def make() -> object:
            metrics = named_metrics(search.filter, search.order_by)
            return {
                "metrics": [str(each).removeprefix("metrics.") for each in metrics],
                "versions": [found_json(each, metrics) for each in page.found],
                "next": page.next_page,
            }

        return make

    async def _of_model(self, request: Request) -> Make:
        entry = entry_of(self._catalog.snapshot, request.names["model"])
        caller, model = self._caller(request), entry.model.name
        number = parameters.whole_number(request, "version", 0, 1, MOST)
        if number:
            page = FoundPage(())
            said = [await self._annotations.of(caller, model, number)]
        else:
            token = parameters.text(request, "page", MAX_FILTER)
            search = VersionSearch(model, size=MODEL_VERSIONS, page=token)
            page = await self._annotations.search(caller, search)
            said = [each.annotations for each in page.found]
        metrics = {each.version: each.metrics for each in said}
        gate = entry.model.gate
        if gate is not None:
            metrics |= await self._metrics_beside(caller, gate, entry, metrics.keys())
        return lambda: {
            "gate": gate_json(gate) if gate else None,
            "versions": [
                annotations_json(each)
                | {
                    "verdict": verdict_json(verdict_on(gate, entry, each.version, metrics))
                    if gate
                    else None
                }
                for each in said
            ],
            "next": page.next_page,
        }

    async def _metrics_beside(
        self, caller: OnBehalf, gate: GateRecord, entry: CatalogModel, known: Collection[int]
    ) -> dict[int, tuple[Metric, ...]]:
        """The metrics of versions that a gate compares with, but of those that are known."""
        missing = compared_with(gate, entry) - set(known)
        return {
            number: (await self._annotations.of(caller, entry.model.name, number)).metrics
            for number in missing
        }

    async def _compared(self, request: Request) -> Make:
        model, caller = request.names["model"], self._caller(request)
        numbers = [
            parameters.whole_number(request, name, 0, 1, MOST) for name in ("first", "second")
        ]
        for name, number in zip(("first", "second"), numbers, strict=True):
            if not number:
                raise parameters.invalid(name, "must be the number of a version")
        first, second = await asyncio.gather(
            *(self._described(caller, model, number) for number in numbers)
        )
        return lambda: comparison_json(compare_versions(first, second), first, second)

    async def _described(self, caller: OnBehalf, model: str, number: int) -> Described:
        return Described(
            await self._annotations.version(caller, model, number),
            await self._annotations.of(caller, model, number),
            await self._annotations.reference(caller, model, number),
        )
