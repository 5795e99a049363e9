"""A store of objects that machines share: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://account/container`.

Credentials, region and endpoint come from the environment under the names of each provider's own tools
(AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_KEY and so on),
or from the machine's own identity.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from headrace import errors

if TYPE_CHECKING:
    from obstore.store import ObjectStore as _Store

SCHEMES = ("s3", "gs", "az")
UNAVAILABLE = "BLOB_STORE_UNAVAILABLE"
REFUSED = "BLOB_STORE_REFUSED"

CHUNK_BYTES = 1 << 20
"""Of a reading, as of the registry's."""
_PART_BYTES = 16 << 20
"""Providers want parts of 5 MiB at least, and 10,000 at most: files of up to 156 GiB."""
_UPLOADS = 4
"""Parts of a file that are sent at a time: an upload holds 64 MiB."""
_RETRY_SECONDS = 20.0
"""How long the library tries again by itself, before whoever asked is told."""
_RETRY_AFTER_SECONDS = 5.0
_REFUSAL = re.compile(r"status code: 4(?!08|29)")
"""In what the library says of an answer that will be the same the next time."""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """An object's size in bytes, and what changes with its content."""

    size_bytes: int
    etag: str


def blob_key(digest: str) -> str:
    """The key of a blob, by its SHA-256: the registry writes it, and replicas read it."""
    return f"blobs/{digest}"


def url_problem(url: str) -> str:
    """Return what is wrong with the URL of a store, and what is allowed; '' for one that is right."""
    scheme, separator, rest = url.partition("://")
    if scheme in SCHEMES and separator and rest.strip("/"):
        return ""
    return (
        f"{url!r} is not the URL of a store of objects; it must be s3://bucket/prefix, "
        "gs://bucket/prefix or az://account/container/prefix, or be left out"
    )


class ObjectStore:
    """The objects under a URL, by key.

    Every method raises Unavailable (BLOB_STORE_UNAVAILABLE) where the store cannot be reached, and
    FailedPrecondition (BLOB_STORE_REFUSED) where it refuses this process.
    """

    def __init__(self, url: str, *, retry_seconds: float = _RETRY_SECONDS) -> None:
        """Raises FailedPrecondition (BLOB_STORE_REFUSED) where the package for it is not installed."""
        self.url = url
        self._store = _open(url, retry_seconds)

    async def put(self, key: str, file: Path) -> None:
        """Store a file's bytes, whole or not at all, over what is there."""
        import obstore

        with self._errors():
            await obstore.put_async(
                self._store, key, file, chunk_size=_PART_BYTES, max_concurrency=_UPLOADS
            )

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Store what comes, whole or not at all, over what is there. Raises what `chunks` raises."""
        import obstore

        with self._errors():
            await obstore.put_async(
                self._store, key, chunks, chunk_size=_PART_BYTES, max_concurrency=_UPLOADS
            )

    async def put_bytes(self, key: str, data: bytes) -> None:
        """Store a few bytes."""
        import obstore

        with self._errors():
            await obstore.put_async(self._store, key, data)

    async def facts(self, key: str) -> ObjectFacts | None:
        """An object's facts, or None where there is none."""
        import obstore

        with self._errors():
            try:
                meta = await obstore.head_async(self._store, key)
            except FileNotFoundError:
                return None
        return ObjectFacts(meta["size"], meta["e_tag"] or "")

    async def read(self, key: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """An object's bytes from `offset`, a chunk at a time. Raises NotFound (BLOB_NOT_FOUND) too."""
        import obstore

        with self._errors():
            try:
                found = await obstore.get_async(
                    self._store, key, options={"range": {"offset": offset}} if offset else None
                )
            except FileNotFoundError:
                raise errors.NotFound(
                    "BLOB_NOT_FOUND", f"there is no object {key} in {self.url}"
                ) from None
        chunks = found.stream(CHUNK_BYTES)
        while True:
            with self._errors():
                try:
                    chunk = await anext(chunks)
                except StopAsyncIteration:
                    return
            yield bytes(chunk)

    async def sizes(self) -> list[tuple[str, int]]:
        """The key and the size in bytes of every object that is there."""
        import obstore

        found: list[tuple[str, int]] = []
        with self._errors():
            async for some in obstore.list(self._store):
                found += [(meta["path"], meta["size"]) for meta in some]
        return found

    async def remove(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there are passed over."""
        import obstore

        for key in keys:
            with self._errors():
                try:
                    await obstore.delete_async(self._store, key)
                except FileNotFoundError:
                    continue

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from obstore import exceptions

        refusals = (
            exceptions.PermissionDeniedError,
            exceptions.UnauthenticatedError,
            exceptions.InvalidPathError,
        )
        try:
            yield
        except refusals as error:
            raise self._refused(_said(error)) from error
        except (
            FileNotFoundError
        ) as error:  # not of one object, which is caught above: of the bucket
            raise self._refused(_said(error)) from error
        except (exceptions.BaseError, OSError) as error:
            if _REFUSAL.search(str(error)):
                raise self._refused(_said(error)) from error
            raise errors.Unavailable(
                UNAVAILABLE,
                f"the blob store {self.url} does not answer ({_said(error)}): check that it runs and "
                "can be reached, and the endpoint and region in the environment",
                facts={"url": self.url},
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            ) from error

    def _refused(self, said: str) -> errors.FailedPrecondition:
        return errors.FailedPrecondition(
            REFUSED,
            f"the blob store {self.url} refuses ({said}): check that the bucket is there, and the "
            "credentials in the environment",
            facts={"url": self.url},
        )


def _open(url: str, retry_seconds: float) -> _Store:
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise errors.FailedPrecondition(
            REFUSED,
            f"{url} is a store of objects, and the package obstore is not installed: "
            "`pip install 'headrace[object-stores]'`",
        ) from error
    return from_url(
        url,
        retry_config={"retry_timeout": timedelta(seconds=retry_seconds)},
    )


def _said(error: BaseException) -> str:
    """The one line of a provider's answer that a person can use."""
    text = str(error)
    for begin, end in (("<Message>", "</Message>"), ("<Code>", "</Code>")):
        if begin in text:
            return text.partition(begin)[2].partition(end)[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0].rpartition(" - ")[2] if lines else type(error).__name__)[:200]
