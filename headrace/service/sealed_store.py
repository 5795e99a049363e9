"""A store of objects that nobody trusts: what goes there is sealed, what comes from there is opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

from headrace.artifacts import sealing
from headrace.artifacts.sealing import SealingKeys, SealOpener
from headrace.service.object_store import ObjectFacts, ObjectStore

_SEALED_CHUNK = sealing.CHUNK_BYTES + sealing.TAG_BYTES


class SealedStore(ObjectStore):
    """The same store of plain files for whoever has the keys; without them, one that tells sealed objects.

    Sizes are those of the plain bytes. Reading raises FailedPrecondition (SEAL_KEY_UNKNOWN) and DataLoss
    (BLOB_SEAL_BROKEN) besides.
    """

    def __init__(self, url: str, keys: SealingKeys | None) -> None:
        """Raises FailedPrecondition (BLOB_STORE_REFUSED)."""
        super().__init__(url)
        self._keys = keys

    async def put(self, key: str, file: Path) -> None:
        """Store a file's bytes, sealed."""
        if self._keys is None:
            await super().put(key, file)
        else:
            await self.put_stream(key, _sealed(key, file, self._keys))

    async def facts(self, key: str) -> ObjectFacts | None:
        """An object's facts, with the size of what is in it, or None where there is none."""
        found = await super().facts(key)
        if found is None or self._keys is None:
            return found
        return ObjectFacts(sealing.plain_bytes(found.size_bytes), found.etag)

    async def read(self, key: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """An object's plain bytes from `offset`; a part of which all is read and right at a time."""
        reading = super().read
        if self._keys is None:
            async with aclosing(reading(key, offset)) as chunks:
                async for chunk in _told(key, chunks, at_start=not offset):
                    yield chunk
            return
        number, skipped = divmod(offset, sealing.CHUNK_BYTES)
        async with aclosing(reading(key)) as from_start:
            opener, rest = await self._opener(key, from_start, self._keys)
            if not number:
                async for chunk in _opened(opener, number, rest, from_start):
                    yield chunk[skipped:]
                    skipped = 0
                return
        async with aclosing(reading(key, sealing.chunk_offset(number))) as chunks:
            async for chunk in _opened(opener, number, b"", chunks):
                yield chunk[skipped:]
                skipped = 0

    async def _opener(
        self, key: str, chunks: AsyncIterator[bytes], keys: SealingKeys
    ) -> tuple[SealOpener, bytes]:
        """What opens an object, by its header, and the bytes that came behind that."""
        read = b""
        while len(read) < sealing.HEADER_BYTES and (chunk := await anext(chunks, b"")):
            read += chunk
        header, rest = read[: sealing.HEADER_BYTES], read[sealing.HEADER_BYTES :]
        return SealOpener(key, header, keys), rest


async def _opened(
    opener: SealOpener, number: int, rest: bytes, chunks: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """The plain bytes of the parts from `number` on. A part is the last if nothing follows it."""
    held = bytearray(rest)
    async for chunk in chunks:
        held += chunk
        while len(held) > _SEALED_CHUNK:
            part = bytes(held[:_SEALED_CHUNK])
            del held[:_SEALED_CHUNK]
            yield await asyncio.to_thread(opener.open, number, part, is_last=False)
            number += 1
    yield await asyncio.to_thread(opener.open, number, bytes(held), is_last=True)


async def _told(key: str, chunks: AsyncIterator[bytes], *, at_start: bool) -> AsyncIterator[bytes]:
    """The bytes of an object, if it is not sealed."""
    async for chunk in chunks:
        if at_start and chunk.startswith(sealing.MAGIC):
            raise sealing.unknown_key(key, "a key, and this service has none")
        at_start = False
        yield chunk


async def _sealed(name: str, file: Path, keys: SealingKeys) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(file.open, "rb") as plain:
        pieces = sealing.seal(name, plain, keys)
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece
