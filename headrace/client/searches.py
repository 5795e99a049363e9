"""Searches of versions by what is said of them, and what a model's gate says of each."""

from __future__ import annotations

from headrace.client import methods
from headrace.client.annotation_messages import found_from_proto
from headrace.client.annotation_resources import FoundVersion
from headrace.client.annotations import AnnotationCalls
from headrace.client.routes import RouteCalls
from headrace.gates import Verdict, judge, references_for
from headrace.registry.v1 import annotation_service_pb2 as pb
from headrace.resource_names import model_resource


class SearchCalls(AnnotationCalls, RouteCalls):
    """Find versions, and ask a gate of them."""

    async def search_versions(
        self,
        filter: str = "",  # noqa: A002  # the field's name
        model: str = "",
        order_by: str = "",
        *,
        limit: int = 0,
        timeout_seconds: float | None = None,
    ) -> list[FoundVersion]:
        """Versions for which a filter holds, of one model or of all that may be read.

        `metrics.accuracy > 0.9 AND tags.team = "vision"`: docs/filters.md has the grammar and the fields.
        `order_by` is one of the fields, with `desc` behind it where large values are to come first;
        without it they are by model, newest first. `limit`: at most so many, 0 all. Raises InvalidArgument
        (FILTER_INVALID, ORDER_INVALID), NotFound for the model.
        """
        request = pb.SearchVersionsRequest(
            parent=model_resource(model) if model else "",
            filter=filter,
            order_by=order_by,
            page_size=min(limit or _PAGE_SIZE, _PAGE_SIZE),
        )
        found: list[FoundVersion] = []
        while True:
            page = await self._ask_registry(methods.SEARCH_VERSIONS, request, timeout_seconds)
            found += map(found_from_proto, page.found)
            request.page_token = page.next_page_token
            if not page.next_page_token or 0 < limit <= len(found):
                return found[: limit or None]

    async def gate_verdicts(
        self, model: str, *, timeout_seconds: float | None = None
    ) -> dict[int, Verdict]:
        """Return what the gate of a model says of each of its versions, newest first.

        The registry asks the same when an alias or the route is to name one. Without a gate all pass.
        Raises NotFound.
        """
        gate = (await self.model(model, timeout_seconds=timeout_seconds)).gate
        found = await self.search_versions(model=model, timeout_seconds=timeout_seconds)
        if gate is None or not found:
            return {each.version.number: Verdict() for each in found}
        stable = (await self.route(model, timeout_seconds=timeout_seconds)).stable
        aliases = {name: each.version.number for each in found for name in each.aliases}
        metrics = {each.version.number: each.annotations.metrics for each in found}
        return {
            number: judge(
                gate,
                mine,
                references_for(gate, number, stable, aliases, lambda n: metrics.get(n, ())),
            )
            for number, mine in metrics.items()
        }


_PAGE_SIZE = 1000
