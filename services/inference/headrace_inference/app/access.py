"""Assembles who may call a replica: keys, roles and grants of the catalog, and what verifies tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client.registry import CollectorRegistry

from headrace.security.access import Access
from headrace.security.identity_sources import LOOK_SECONDS
from headrace.security.rights_file import RightsFile
from headrace.security.verifications import Verifications
from headrace.service.access import open_access
from headrace.state.catalog import Catalog
from headrace.state.rights import CatalogRights
from headrace.state.unasked_rights import UnaskedRights
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.ingress.callers import Callers
from headrace_inference.settings import Settings


@dataclass(frozen=True, slots=True)
class ReplicaAccess:
    """Who may call, and the callers that were seen. Rights are those of the last catalog that was read."""

    access: Access
    callers: Callers
    metrics: CollectorRegistry
    file: RightsFile | None = None
    """Keys and grants where there is no catalog that has them."""
    _rights: CatalogRights = field(default_factory=CatalogRights)
    _unasked: UnaskedRights = field(default_factory=UnaskedRights)

    async def follow_file(self) -> None:
        """Go by what the rights file says, for as long as there is one."""
        while self.file is not None:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.file.look)

    def follow(self, catalog: Catalog) -> None:
        """Go by what this catalog says."""
        if not self.access.is_on:
            self._unasked.look(catalog)
            return
        rights = self._rights.changed(catalog)
        if rights is not None:
            self.access.rights = rights

    @property
    def used_keys(self) -> Mapping[str, int]:
        """The days on which keys were last used here, by their ids."""
        return self.access.used_keys

    def facts(self) -> dict[str, object]:
        """Return the facts of readiness about it."""
        if not self.access.is_on:
            return {}
        problem = self.file.problem if self.file else ""
        return {"rights_known": self.access.has_rights} | (
            {"rights_problem": problem} if problem else {}
        )


@contextmanager
def open_replica_access(settings: Settings) -> Iterator[ReplicaAccess]:
    """Verify tokens while inside. Until the first catalog is read everybody is told to come back.

    Raises FailedPrecondition (IDENTITY_FILE_INVALID, RIGHTS_FILE_INVALID, JWT_NOT_INSTALLED).
    """
    metrics = CollectorRegistry()
    with open_access(settings, metrics) as access:
        if not access.is_on:
            yield ReplicaAccess(access, Callers(SYSTEM_CLOCK, access), metrics)
            return
        verifications = Verifications(access)
        with verifications.running():
            callers = Callers(SYSTEM_CLOCK, access, verifications.ask)
            yield ReplicaAccess(access, callers, metrics, _open_file(settings, access))


def _open_file(settings: Settings, access: Access) -> RightsFile | None:
    if settings.rights_file is None:
        return None
    file = RightsFile(settings.rights_file, access)
    file.begin()
    return file
