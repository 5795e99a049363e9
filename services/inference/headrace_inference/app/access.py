"""Assembles who may call a replica: keys, roles and grants of the catalog, and what verifies tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client.registry import CollectorRegistry

from headrace.security.access import Access
from headrace.security.verifications import Verifications
from headrace.service.access import open_access
from headrace.state.catalog import Catalog
from headrace.state.rights import CatalogRights
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.ingress.callers import Callers
from headrace_inference.settings import Settings


@dataclass(frozen=True, slots=True)
class ReplicaAccess:
    """Who may call, and the callers that were seen. Rights are those of the last catalog that was read."""

    access: Access
    callers: Callers
    metrics: CollectorRegistry
    _rights: CatalogRights = field(default_factory=CatalogRights)

    def follow(self, catalog: Catalog) -> None:
        """Go by what this catalog says."""
        rights = self._rights.changed(catalog) if self.access.is_on else None
        if rights is not None:
            self.access.rights = rights

    def facts(self) -> dict[str, object]:
        """Return the facts of readiness about it."""
        return {"rights_known": self.access.has_rights} if self.access.is_on else {}


@contextmanager
def open_replica_access(settings: Settings) -> Iterator[ReplicaAccess]:
    """Verify tokens while inside. Until the first catalog is read everybody is told to come back.

    Raises FailedPrecondition (IDENTITY_FILE_INVALID, JWT_NOT_INSTALLED).
    """
    metrics = CollectorRegistry()
    with open_access(settings, metrics) as access:
        if not access.is_on:
            yield ReplicaAccess(access, Callers(SYSTEM_CLOCK, access), metrics)
            return
        verifications = Verifications(access)
        with verifications.running():
            callers = Callers(SYSTEM_CLOCK, access, verifications.ask)
            yield ReplicaAccess(access, callers, metrics)
