"""Tells the shared state that this replica is there, every second, and what it has, as that changes."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from headrace.errors import Unavailable
from headrace.state import presence
from headrace.state.connection import Redis
from headrace.state.keys import Keys
from headrace.state.outage import ACCESS_DENIED
from headrace.state.records import ReplicaRecord, ReplicaVersion

logger = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0
_MIN_GAP_SECONDS = 0.05
"""Changes that come in a burst are told together."""


class Holdings(Protocol):
    """The versions that a replica has, and the models for which that changed."""

    def take_changed(self) -> set[str]:
        """The models of which the replica has something else since this was last asked."""

    def models(self) -> Collection[str]:
        """The models of which the replica has anything."""

    def versions_of(self, model: str) -> Sequence[ReplicaVersion]:
        """Return what the replica has of a model."""


class PresenceWriter:
    """Tells the shared state what a replica is and has: at first all, then what changed."""

    def __init__(
        self, redis: Redis, keys: Keys, holdings: Holdings, describe: Callable[[], ReplicaRecord]
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._holdings = holdings
        self._describe = describe
        self._changed: set[str] = set()
        """Models of which the server may not know what the replica has."""
        self._mark = ""
        """What was written last, as far as that was answered; '' before."""
        self._life = uuid.uuid4().hex
        self._writes = 0

    async def announce(self) -> None:
        """Say that the replica is there, and what changed. Raises Unavailable."""
        self._changed |= self._holdings.take_changed()
        if self._mark and await self._write(self._changed, self._mark):
            return
        await self._write({*self._holdings.models(), *self._changed}, "")

    async def _write(self, models: set[str], since: str) -> bool:
        mark = since
        if models or not since:
            self._writes += 1
            mark = f"{self._life}-{self._writes}"
        changed = {model: self._holdings.versions_of(model) for model in models}
        record = self._describe()
        if not await presence.announce_changes(
            self._redis, self._keys, record, changed, since, mark
        ):
            return False
        self._mark = mark
        self._changed.difference_update(models)
        return True

    async def withdraw(self) -> None:
        """Say that the replica is gone, if the server is there to hear it."""
        try:
            await presence.withdraw(self._redis, self._keys, self._describe().id)
        except Unavailable:
            logger.debug("presence not withdrawn; it ends by itself")


async def keep_present(writer: PresenceWriter, changed: asyncio.Event) -> None:
    """Announce for ever; on being cancelled, withdraw. An unreachable server is tried again."""
    denied = ""
    try:
        while True:
            changed.clear()
            denied = await _announce(writer, denied)
            await asyncio.sleep(_MIN_GAP_SECONDS)
            try:
                async with asyncio.timeout(_INTERVAL_SECONDS):
                    await changed.wait()
            except TimeoutError:
                continue
    finally:
        await writer.withdraw()


async def _announce(writer: PresenceWriter, denied: str) -> str:
    """Announce, and return what right this replica does not have for it: it says so when that changes."""
    try:
        await writer.announce()
    except Unavailable as error:
        now = error.message if error.reason == ACCESS_DENIED else ""
        level = logging.WARNING if now and now != denied else logging.DEBUG
        logger.log(level, "presence not announced: %s", error)
        return now
    return ""
