"""The facts that a decision is made from."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.state.catalog import Catalog
from headrace.state.changes import ChangedResource, Origin
from headrace.state.record_collections import COLLECTIONS, MODELS, VERSIONS
from headrace_registry.domain.decisions.decision import Decision, Records
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
    origin: Origin = Origin()
    """How it is known who asks, and why he does."""

    @property
    def next_revision(self) -> int:
        """The revision that the change gets, if nobody else is faster."""
        return self.catalog.revision + 1

    def change(
        self,
        kind: str,
        resource: str,
        records: Records,
        further: tuple[ChangedResource, ...] = (),
    ) -> Decision:
        """The decision to turn these records into this (None: delete them) from what they are now.

        `further` names what else is done, where it is more than `kind` to `resource`.
        """
        return Decision(
            revision=self.next_revision,
            kind=kind,
            resource=resource,
            actor=self.actor,
            at=self.now,
            records=records,
            before={
                name: {key: self._present(name, key) for key in touched}
                for name, touched in records.items()
            },
            further=further,
            origin=self.origin,
        )

    def _present(self, collection: str, key: str) -> object:
        if collection == MODELS.name:
            return self.catalog.models.get(key)
        if collection == VERSIONS.name:
            model, _, number = key.rpartition("/")
            return self.catalog.stored(model, int(number))
        return self.catalog.of(COLLECTIONS[collection]).get(key)
