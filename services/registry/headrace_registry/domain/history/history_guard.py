"""Sees to it that a state which lost changes begins a new epoch before anything is built on it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from headrace.state.history import Point
from headrace_registry.domain.history.noted_history import (
    Noted,
    Verdict,
    adopted,
    judge,
    next_revision,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Traces:
    """A state's account of its past: the hash of a change, if it is kept, and the last numbers."""

    hash: str | None
    newest_entry: int
    numbers: Mapping[str, int]
    writable: bool = True
    """False where a newer registry wrote the state."""


class Note(Protocol):
    """The registry's note of the state, on a disk of its own."""

    @property
    def noted(self) -> Noted | None:
        """All that was noted, or None where nothing was."""

    async def adopt(self, noted: Noted) -> None:
        """Note a state to go on from."""


class Epochs(Protocol):
    """The epochs of the shared state."""

    async def read_traces(self, revision: int) -> Traces:
        """Return the state's account of its past and of this revision's change. Raises Unavailable."""

    async def begin(self, found: Point, revision: int, numbers: Mapping[str, int]) -> Point | None:
        """Begin an epoch on the state that was found, where it starts; None if that was left meanwhile.

        No number up to those given is given out in it. Raises Unavailable.
        """


class HistoryGuard:
    """Compares every state that is read anew with what was noted."""

    def __init__(self, note: Note, epochs: Epochs) -> None:
        self._note = note
        self._epochs = epochs

    async def examine(self, found: Point) -> bool:
        """Compare a state that was read, and go on from it; whether it has to be read again.

        Raises Unavailable.
        """
        noted = self._note.noted
        if noted is None:
            logger.info("nothing is noted of the shared state, so nothing was compared")
            noted = Noted(found)
        traces = await self._epochs.read_traces(noted.point.revision)
        verdict = judge(noted, found, traces.hash)
        if verdict is Verdict.LOST and not traces.writable:
            logger.error(
                "the shared state lacks changes that were seen here, and only the newer registry that "
                "wrote it can begin an epoch on it: start that one",
                extra=_facts(noted, found),
            )
            return False
        if verdict is Verdict.LOST:
            await self._begin(noted, found, traces)
            return True
        if verdict is Verdict.OTHER:
            logger.warning(
                "going on from another epoch of the shared state", extra=_facts(noted, found)
            )
        await self._note.adopt(adopted(noted, found, traces.numbers))
        return False

    async def _begin(self, noted: Noted, found: Point, traces: Traces) -> None:
        revision = next_revision(noted, found, traces.newest_entry)
        begun = await self._epochs.begin(found, revision, noted.numbers)
        if begun is None:
            return
        logger.error(
            "the shared state lacks changes up to revision %d that were acknowledged or seen here: it was "
            "restored from an older copy, lost the end of its log, or is another one; a new epoch has "
            "begun on what is there, at revision %d",
            noted.point.revision,
            begun.revision,
            extra=_facts(noted, found),
        )
        await self._note.adopt(adopted(noted, found, traces.numbers, begun))


def _facts(noted: Noted, found: Point) -> dict[str, object]:
    return {
        "noted_epoch": noted.point.epoch,
        "noted_revision": noted.point.revision,
        "found_epoch": found.epoch,
        "found_revision": found.revision,
    }
