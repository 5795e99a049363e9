"""Keeps what models take, for as long as the versions that answer are those that were asked about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.client.tensors import ModelMetadata

Key = tuple[str, str]
"""A model's name and version as a caller gives them: what a route or an alias leads to moves."""


@dataclass(slots=True)
class _Kept:
    metadata: ModelMetadata
    answered: set[str] = field(default_factory=set)
    """The versions that answered since the first was asked: a canary's trial has two."""


class SignatureCache:
    """Metadata by model and version; a version that answers for the first time makes it stale."""

    def __init__(self) -> None:
        self._kept: dict[Key, _Kept] = {}
        self._stale: set[Key] = set()

    def get(self, key: Key) -> ModelMetadata | None:
        """The metadata, None where it has to be asked for."""
        kept = self._kept.get(key)
        return None if kept is None or key in self._stale else kept.metadata

    def put(self, key: Key, metadata: ModelMetadata) -> None:
        """Keep what a replica just said."""
        self._stale.discard(key)
        if key in self._kept:
            self._kept[key].metadata = metadata
        else:
            self._kept[key] = _Kept(metadata)

    def note_answer(self, key: Key, version: str) -> None:
        """A version answered: another than those before may take something else."""
        kept = self._kept.get(key)
        if kept is None or version in kept.answered:
            return
        if kept.answered:
            self._stale.add(key)
        kept.answered.add(version)

    def forget(self, key: Key) -> None:
        """Ask again next time."""
        self._kept.pop(key, None)
        self._stale.discard(key)
