"""What was decided: the records as they are to be, and the change that this is for the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Raw

from headrace.state.changes import Change, difference
from headrace.state.records import ModelRecord, VersionRecord

_NULL = Raw(b"null")


@dataclass(frozen=True, slots=True)
class Decision:
    """Records as they are to be, None where deleted; `…_before` is what they are, None where new."""

    revision: int
    kind: str
    resource: str
    actor: str
    at: float
    models: Mapping[str, ModelRecord | None] = field(default_factory=dict)
    versions: Mapping[str, VersionRecord | None] = field(default_factory=dict)
    models_before: Mapping[str, ModelRecord | None] = field(default_factory=dict)
    versions_before: Mapping[str, Raw | None] = field(default_factory=dict)
    """As they are stored: nobody needs to know more of them."""

    def change(self, previous_hash: str) -> Change:
        """The change that the log keeps: of each model what differs."""
        after, before = self.models, self.models_before
        of_the_model_itself = self.kind.startswith("model.")
        return Change(
            revision=self.revision,
            kind=self.kind,
            resource=self.resource,
            actor=self.actor,
            at=self.at,
            previous_hash=previous_hash,
            models={
                name: difference(after[name], before.get(name), own=of_the_model_itself)
                for name in after
            },
            versions=self.versions,
            models_before={name: difference(before[name], after.get(name)) for name in before},
            versions_before={
                key: _NULL if raw is None else raw for key, raw in self.versions_before.items()
            },
        )
