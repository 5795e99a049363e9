"""The change log as those read it who ask who changed what, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headrace.client import methods
from headrace.client.answers import reading_an_answer
from headrace.client.catalog import PAGE_SIZE, RegistryCalls
from headrace.conversion.times import timestamp_from_proto, timestamp_to_proto
from headrace.registry.v1 import registry_service_pb2
from headrace.resource_names import model_resource


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """A change as the log keeps it: what was done to what, by whom, how that was proved, and why."""

    revision: int
    at: float
    """When, in seconds since the Unix epoch; 0 where the entry cannot be read."""
    kind: str
    resource: str
    further: tuple[str, ...]
    actor: str
    proof: str
    """`api-key:ID`, `jwt:ISSUER`, `certificate:NAME`, `local`, or `none`: the actor is only a claim."""
    claim: str
    """What the caller called itself, where another name was proved."""
    peer: str
    request_id: str
    reason: str
    hash: str
    previous_hash: str
    stored: bytes = b""
    """The entry as it is stored, where that was asked for."""


class AuditCalls(RegistryCalls):
    """Who changed what."""

    async def audit(
        self,
        *,
        model: str = "",
        actor: str = "",
        kind: str = "",
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
        oldest_first: bool = False,
        with_stored: bool = False,
        timeout_seconds: float | None = None,
    ) -> list[LoggedChange]:
        """The changes that are kept, newest first: of one model to who may read it, of all to admins.

        `kind` is `route.update`, or `route` for all that was done to routes; `since` and `until` are in
        seconds since the Unix epoch. At most `limit` come, 0 for all that are kept. `with_stored` adds each
        entry as it is stored, where no model is named.
        """
        request = registry_service_pb2.ListChangesRequest(
            page_size=min(limit or PAGE_SIZE, PAGE_SIZE),
            model=model_resource(model) if model else "",
            actor=actor,
            kind=kind,
            oldest_first=oldest_first,
            with_stored=with_stored,
        )
        if since is not None:
            request.start_time.CopyFrom(timestamp_to_proto(since))
        if until is not None:
            request.end_time.CopyFrom(timestamp_to_proto(until))
        found: list[LoggedChange] = []
        while True:
            page = await self._ask_registry(methods.LIST_CHANGES, request, timeout_seconds)
            found += _changes(page)
            request.page_token = page.next_page_token
            if not page.next_page_token or 0 < limit <= len(found):
                return found[: limit or None]

    async def newest_change(self, *, timeout_seconds: float | None = None) -> tuple[int, str]:
        """The revision and the hash of the newest change, as the state says; (0, '') before the first."""
        request = registry_service_pb2.ListModelsRequest(page_size=1)
        page = await self._ask_registry(methods.LIST_MODELS, request, timeout_seconds)
        return page.revision, page.hash


def _changes(page: registry_service_pb2.ListChangesResponse) -> Iterator[LoggedChange]:
    with reading_an_answer():
        for each in page.changes:
            yield LoggedChange(
                each.revision,
                timestamp_from_proto(each.create_time),
                each.kind,
                each.resource,
                tuple(each.further),
                each.actor,
                each.proof,
                each.claim,
                each.peer,
                each.request_id,
                each.reason,
                each.hash,
                each.previous_hash,
                each.stored,
            )
