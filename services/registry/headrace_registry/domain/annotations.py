"""Annotations and the bytes of attachments: put and taken away together, as versions are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Protocol

from headrace import errors
from headrace.state.annotation_records import Attachment
from headrace.state.changes import Change
from headrace.state.records import ArtifactFile
from headrace_registry.domain.catalog_store import CatalogStore
from headrace_registry.domain.pushes.artifacts import Received
from headrace_registry.domain.pushes.blob_garbage import BlobGarbage
from headrace_registry.domain.pushes.uploads import Upload
from headrace_registry.domain.resources.annotation_edits import AnnotationEdit
from headrace_registry.domain.resources.annotations import (
    AttachmentRemoval,
    NewAttachment,
    annotations_in,
    delete_attachment,
    put_attachment,
    update_annotations,
)


class Blobs(Protocol):
    """Stores bytes by their SHA-256."""

    def staging(self) -> AbstractAsyncContextManager[Path]:
        """A private folder on the store's file system, gone with all in it on leaving."""

    async def receive(self, chunks: AsyncIterator[bytes], file: Path) -> Received:
        """Write what arrives."""


class Annotations:
    """Changes what is said of versions, and keeps the blobs of attachments."""

    def __init__(self, store: CatalogStore, blobs: Blobs, garbage: BlobGarbage) -> None:
        self._store = store
        self._blobs = blobs
        self._garbage = garbage

    async def update(self, edit: AnnotationEdit, actor: str) -> Change:
        """Change what is said. Raises as its decision does, Unavailable."""
        return await self._store.change(edit.model, partial(update_annotations, edit=edit), actor)

    async def put(
        self, new: NewAttachment, upload: Upload, chunks: AsyncIterator[bytes], actor: str
    ) -> Change:
        """Keep what arrives with a version.

        Raises as its decision does, InvalidArgument (ATTACHMENT_INVALID) for other bytes than announced,
        ResourceExhausted (STAGING_FULL, DISK_FULL), DeadlineExceeded for a caller that stalls, Unavailable.
        """
        decide = partial(put_attachment, new=new)
        decide(self._store.decision_context(actor))  # before the bytes are sent
        file = new.attachment.file
        upload.reserve(file.size_bytes, 1)
        async with self._blobs.staging() as staging:
            place = staging / "content" / file.path
            place.parent.mkdir(parents=True)
            received = await self._blobs.receive(
                _up_to(upload.paced(chunks), new.attachment), place
            )
            _check_received(received, new.attachment)
            replaced = self._at(new.model, new.number, file.path)
            commit = partial(self._store.change, new.model, decide, actor)
            return await self._garbage.publish(staging / "content", [file], commit, replaced)

    async def delete(self, removal: AttachmentRemoval, actor: str) -> Change:
        """Take an attachment away. Raises as its decision does, Unavailable."""
        decide = partial(delete_attachment, removal=removal)
        commit = partial(self._store.change, removal.model, decide, actor)
        gone = self._at(removal.model, removal.number, removal.path)
        return await self._garbage.delete(gone, commit)

    def _at(self, model: str, number: int, path: str) -> Iterator[ArtifactFile]:
        """The file that a version has at a path, once it is asked for."""
        present = annotations_in(self._store.read(), model, number)
        for each in present.attachments if present else ():
            if each.path == path:
                yield each.file


async def _up_to(chunks: AsyncIterator[bytes], announced: Attachment) -> AsyncIterator[bytes]:
    """The chunks, refused as soon as they are more than announced: nobody fills the disk by lying."""
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > announced.size_bytes:
            raise _other_bytes(announced, f"it goes on after {announced.size_bytes} bytes")
        yield chunk


def _check_received(received: Received, announced: Attachment) -> None:
    if received.size_bytes != announced.size_bytes:
        raise _other_bytes(announced, f"it ended after {received.size_bytes} bytes")
    if received.sha256 != announced.sha256:
        raise _other_bytes(announced, f"its SHA-256 is {received.sha256}")


def _other_bytes(announced: Attachment, what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "ATTACHMENT_INVALID",
        f"{announced.path!r} was announced with {announced.size_bytes} bytes and the SHA-256 "
        f"{announced.sha256}, but {what}: the file changed on the way, or while it was read",
    )
