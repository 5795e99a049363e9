"""The references of versions: fetched as artifacts are, kept on disk, and held at versions' doors.

A version serves without its reference until that is here: it is asked for again until it comes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from google.protobuf.message import DecodeError

from headrace.conversion.data_profiles import reference_from_proto
from headrace.data_profiles.references import Reference
from headrace.errors import HeadraceError
from headrace.state.catalog import Catalog
from headrace.state.desired import Key, desired_of
from headrace.state.record_collections import REFERENCES
from headrace.state.records import VersionRecord
from headrace.state.reference_records import ReferenceRecord
from headrace.type.v1 import profile_pb2
from headrace_inference.adapters.artifact_cache.sources import ArtifactSource
from headrace_inference.domain.schemas.checks import checks_of
from headrace_inference.domain.schemas.doors import SchemaDoors

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""How long until references that could not be had are asked for again."""
MAX_BYTES = 8 << 20
"""More than any registry takes: what goes on after it is none."""


class CatalogUpdate(Protocol):
    """A newer catalog."""

    @property
    def catalog(self) -> Catalog:
        """Return it."""


class VersionReferences:
    """The references of the versions that a replica should hold, as the newest catalog says.

    `reference_of` may be called from any thread. Of a field with 64 edges it keeps 3 kB.
    """

    def __init__(self, folder: Path, source: ArtifactSource, doors: SchemaDoors) -> None:
        self._folder = folder
        self._source = source
        self._doors = doors
        self._catalog = Catalog()
        self._moved = asyncio.Event()
        self._held: dict[Key, tuple[ReferenceRecord, Reference]] = {}
        self._told: set[str] = set()
        """Digests of which was said that they cannot be had."""

    def reference_of(self, record: VersionRecord) -> Reference | None:
        """The reference of a version, if it has one and it is here."""
        held = self._held.get((record.model, record.number))
        return held[1] if held else None

    async def follow(self, updates: AsyncIterator[CatalogUpdate]) -> None:
        """Keep to every catalog that comes, for ever."""
        async with asyncio.TaskGroup() as jobs:
            jobs.create_task(self._keep_up())
            async for update in updates:
                self._catalog = update.catalog
                self._moved.set()

    async def _keep_up(self) -> None:
        is_whole = True
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if is_whole else RETRY_SECONDS):
                    await self._moved.wait()
            self._moved.clear()
            is_whole = await self._take(self._catalog)

    async def _take(self, catalog: Catalog) -> bool:
        """Have what a catalog says; False where some of it could not be had."""
        wanted = dict(_wanted(catalog))
        for key in self._held.keys() - wanted.keys():
            del self._held[key]
            self._doors.enforce(key, None)
        missing = 0
        for key, record in wanted.items():
            held = self._held.get(key)
            if held is None or held[0] != record:
                missing += not await self._bring(key, record, catalog)
        await asyncio.to_thread(self._prune, {record.sha256 for record in wanted.values()})
        return not missing

    async def _bring(self, key: Key, record: ReferenceRecord, catalog: Catalog) -> bool:
        """Put a reference in the place of the one before; what that enforced goes on until then."""
        try:
            reference = await self._reference(key, record)
            version = catalog.versions[key]
        except (HeadraceError, OSError, ValueError, DecodeError) as error:
            self._tell(record, error)
            return False
        self._held[key] = record, reference
        self._doors.enforce(key, checks_of(reference, record.enforcement, version))
        return True

    async def _reference(self, key: Key, record: ReferenceRecord) -> Reference:
        held = self._held.get(key)
        if held is not None and held[0].sha256 == record.sha256:
            return held[1]
        content = await self._content(record)
        return await asyncio.to_thread(_decoded, content, record.sha256)

    async def _content(self, record: ReferenceRecord) -> bytes:
        """The content, of the disk where it is there. Raises HeadraceError, OSError, ValueError."""
        path = self._folder / record.sha256
        kept = await asyncio.to_thread(_read, path)
        if hashlib.sha256(kept).hexdigest() == record.sha256:
            return kept
        content = bytearray()
        async with aclosing(self._source.read(record.file, 0)) as chunks:
            async for chunk in chunks:
                content += chunk
                if len(content) > MAX_BYTES:
                    raise ValueError(f"it has over {MAX_BYTES} bytes")
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise ValueError("its bytes are others than were set")
        await asyncio.to_thread(_write, path, bytes(content))
        return bytes(content)

    def _tell(self, record: ReferenceRecord, error: Exception) -> None:
        """Say it once: it is asked for again every two seconds."""
        if record.sha256 in self._told:
            return
        self._told.add(record.sha256)
        facts = {"reference": record.name, "sha256": record.sha256}
        logger.warning(
            "a reference is not here yet, its version serves without: %s", error, extra=facts
        )

    def _prune(self, wanted: set[str]) -> None:
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.name not in wanted:
                    path.unlink(missing_ok=True)


def _wanted(catalog: Catalog) -> Iterator[tuple[Key, ReferenceRecord]]:
    """The references of the versions that a replica should hold."""
    desired: dict[str, Mapping[Key, int]] = {}
    for record in catalog.of(REFERENCES).values():
        key = record.model, record.number
        if record.model not in desired:
            desired[record.model] = desired_of(catalog, record.model)
        if key in desired[record.model] and key in catalog.versions:
            yield key, record


def _decoded(content: bytes, digest: str) -> Reference:
    message = profile_pb2.Reference.FromString(content)
    message.layout.reference = message.profile.reference = digest
    return reference_from_proto(message)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _write(path: Path, content: bytes) -> None:
    """Keep it for the next start; where that fails, it is fetched then."""
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f".{uuid4().hex}")
        beside.write_bytes(content)
        beside.replace(path)
