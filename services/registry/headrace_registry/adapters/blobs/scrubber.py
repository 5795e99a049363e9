"""Reads blobs at rest, slowly and for ever, so that damage is known before a replica needs the bytes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from headrace import errors
from headrace.state.catalog import Catalog
from headrace_registry.adapters.blobs.store import BlobStore
from headrace_registry.domain.belongings import COLLECTIONS, belonging_files

PASS_SECONDS = 3600.0
"""A pass over all blobs begins this long after the one before began, at the earliest."""
RECHECK_SECONDS = 5.0
"""How soon it is seen that a damaged blob was pushed again."""
_NAMED = 5

Named = Mapping[str, Sequence[str]]
"""By digest, the versions (`model/number`) that have such a file."""


class BlobScrubber:
    """Compares every blob that a version names with its digest, at so many bytes a second.

    With 0 bytes a second it only looks again at what readers found damaged.
    """

    def __init__(
        self, blobs: BlobStore, catalog: Callable[[], Catalog], bytes_per_second: int
    ) -> None:
        self._blobs = blobs
        self._catalog = catalog
        self._bytes_per_second = bytes_per_second
        self._named_in = Catalog()
        self._names: Named = {}

    async def run(self) -> None:
        """Read for ever."""
        while True:
            started = time.monotonic()
            blobs = await self._pass() if self._bytes_per_second else 0
            pause = PASS_SECONDS if blobs else RECHECK_SECONDS
            while time.monotonic() - started < pause:
                await asyncio.sleep(RECHECK_SECONDS)
                await self._look_again()

    async def _pass(self) -> int:
        """Read every blob once, from a random one on: restarts must not leave the last ones unread.

        Gives how many there are: none, too, before the state was read.
        """
        digests = sorted(await self._named())
        start = random.randrange(len(digests)) if digests else 0  # noqa: S311
        for digest in digests[start:] + digests[:start]:
            await self._check(digest)
        return len(digests)

    async def _look_again(self) -> None:
        damaged = self._blobs.damaged
        for digest in damaged.digests():
            identity = await self._blobs.identity(digest)
            if damaged.is_other(digest, identity) or digest not in await self._named():
                await self._check(digest)

    async def _check(self, digest: str) -> None:
        wrong = await self._blobs.examine(digest, self._bytes_per_second)
        versions = (await self._named()).get(digest, ()) if wrong else ()
        if not versions:  # it is right, or its versions went meanwhile and took it with them
            self._blobs.damaged.discard(digest)
        else:
            identity = await self._blobs.identity(digest)
            self._blobs.damaged.add(digest, identity, f"{wrong}; push {_listed(versions)} again")

    async def _named(self) -> Named:
        catalog = self._catalog()
        if catalog is not self._named_in:
            self._names = await asyncio.to_thread(_named, catalog)
            self._named_in = catalog
        return self._names


def _named(catalog: Catalog) -> Named:
    named: dict[str, list[str]] = {}
    for model in catalog.model_names():
        with suppress(errors.DataLoss):  # whoever asks for such a version is told
            for artifact in catalog.artifacts(model):
                for file in artifact.files:
                    named.setdefault(file.sha256, []).append(artifact.key)
    for collection in COLLECTIONS:
        for record in catalog.of(collection).values():
            for file in belonging_files(collection, record):
                named.setdefault(file.sha256, []).append(record.key)
    return named


def _listed(versions: Sequence[str]) -> str:
    more = f" and {len(versions) - _NAMED} more" if len(versions) > _NAMED else ""
    return ", ".join(versions[:_NAMED]) + more
