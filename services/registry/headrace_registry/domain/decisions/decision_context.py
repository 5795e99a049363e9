"""What a decision is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Raw

from headrace.state.catalog import Catalog
from headrace.state.records import ModelRecord, VersionRecord
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.limits import DEFAULT_LIMITS, CatalogLimits


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """All that a decision depends on besides what is asked: the state, who asks, and when."""

    catalog: Catalog
    actor: str
    now: float
    last_number: int = 0
    """The last version number that a model of the name in question ever had, deleted ones included."""
    limits: CatalogLimits = DEFAULT_LIMITS

    @property
    def next_revision(self) -> int:
        """The revision that the change gets, if nobody else is faster."""
        return self.catalog.revision + 1

    def change(
        self,
        kind: str,
        resource: str,
        models: Mapping[str, ModelRecord | None],
        versions: Mapping[str, VersionRecord | None] | None = None,
    ) -> Decision:
        """The decision to turn these records into this (None: delete them) from what they are now."""
        versions = versions or {}
        return Decision(
            revision=self.next_revision,
            kind=kind,
            resource=resource,
            actor=self.actor,
            at=self.now,
            models=models,
            versions=versions,
            models_before={name: self.catalog.models.get(name) for name in models},
            versions_before={key: self._stored(key) for key in versions},
        )

    def _stored(self, key: str) -> Raw | None:
        model, _, number = key.rpartition("/")
        return self.catalog.stored(model, int(number))
