"""Watches of rights: parts of the suite that do not follow the shared state are told all that decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.record_collections import ACCESS

Message = TypeVar("Message")

MARK_SECONDS = 5.0
"""So often a watcher is told that nothing changed: who hears nothing for longer is cut off."""
MAX_WATCHES = 200


class RightsWatches(Generic[Message]):
    """All watches of one registry. `update` is told of every catalog."""

    def __init__(
        self,
        encode: Callable[[Catalog], Sequence[Message]],
        encode_mark: Callable[[int], Message],
        mark_seconds: float = MARK_SECONDS,
    ) -> None:
        self._encode = encode
        self._encode_mark = encode_mark
        self._mark_seconds = mark_seconds
        self._seen: tuple[object, ...] | None = None
        self._newest: tuple[int, Catalog] | None = None
        """The catalog with the newest rights, and how many there were before; None before it was read."""
        self._encoded: tuple[int, Sequence[Message]] = (-1, ())
        """Rights in parts, made when somebody watches: 40,000 records take a quarter of a second."""
        self._revision = 0
        self._moved = asyncio.Event()
        self._stopping = False
        self.count = 0
        """How many watches there are."""

    def update(self, catalog: Catalog) -> None:
        """Tell all watchers, if keys, roles or bindings have changed."""
        self._revision = catalog.revision
        seen = tuple(catalog.further.get(collection.name) for collection in ACCESS)
        if self._seen and all(a is b for a, b in zip(seen, self._seen, strict=True)):
            return
        self._seen = seen
        self._newest = (self._newest[0] + 1 if self._newest else 0, catalog)
        self._wake()

    def stop(self) -> None:
        """End all watches, with Unavailable (SERVICE_STOPPING)."""
        self._stopping = True
        self._wake()

    async def watch(self) -> AsyncIterator[Message]:
        """What decides, now and after each change, and a mark where nothing changed for a while.

        Raises ResourceExhausted (TOO_MANY_WATCHES), Unavailable (SERVICE_STOPPING).
        """
        if self.count >= MAX_WATCHES:
            raise errors.ResourceExhausted(
                "TOO_MANY_WATCHES",
                f"{self.count} watches of rights are open, and {MAX_WATCHES} are allowed",
                facts={"limit": str(MAX_WATCHES)},
                retry_after_seconds=5.0,
            )
        self.count += 1
        try:
            seen = -1
            while True:
                moved = self._moved
                self._check_goes_on()
                if self._newest is not None and self._newest[0] != seen:
                    seen, catalog = self._newest
                    for message in self._messages(seen, catalog):
                        yield message
                elif not await self._waited(moved) and self._newest is not None:
                    yield self._encode_mark(self._revision)
        finally:
            self.count -= 1

    def _messages(self, number: int, catalog: Catalog) -> Sequence[Message]:
        if self._encoded[0] != number:
            self._encoded = (number, self._encode(catalog))
        return self._encoded[1]

    async def _waited(self, moved: asyncio.Event) -> bool:
        """Return whether something came before it is time for a mark."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._mark_seconds):
                await moved.wait()
        return moved.is_set()

    def _check_goes_on(self) -> None:
        if self._stopping:
            raise errors.Unavailable(
                "SERVICE_STOPPING",
                "the registry is stopping: watch again",
                retry_after_seconds=1.0,
            )

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
