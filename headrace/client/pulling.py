"""Pulling a version: its files as they were pushed, compared with their digests, and its signature."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from pathlib import Path
from typing import BinaryIO

from headrace import errors
from headrace.client import methods
from headrace.client.catalog import CatalogCalls
from headrace.client.methods import Undecodable
from headrace.client.resources import Version
from headrace.client.signable import SIGNATURE_NAME
from headrace.conversion.annotations import attachment_from_proto
from headrace.model_files.artifact_names import ArtifactPaths
from headrace.registry.v1 import annotation_service_pb2, registry_service_pb2
from headrace.resource_names import annotations_resource
from headrace.state.records import ArtifactFile

_LISTED = 12
ATTACHMENTS_FOLDER = "attachments"


class PullCalls(CatalogCalls):
    """Pull versions."""

    async def pull(
        self,
        model: str,
        number: int,
        folder: Path | str,
        *,
        attachments: bool = False,
        timeout_seconds: float | None = None,
    ) -> Version:
        """Write a version's files into a folder, which must be empty or not there, and give the version.

        The signature, where there is one, is `model.sig` beside them; `attachments` are in a folder of
        that name. A download that breaks goes on where
        it was. Raises NotFound, DataLoss (BLOB_DAMAGED) for bytes that are not what was pushed,
        FailedPrecondition (FOLDER_NOT_EMPTY).
        """
        settings = self._calls.settings
        total = settings.push_timeout_seconds if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + total
        version = await self.version(model, number, timeout_seconds=timeout_seconds)
        target = Path(folder)
        paths = ArtifactPaths()  # the registry is not believed that they stay inside
        places = [(file, target / paths.add(file.path)) for file in version.files]
        if attachments:
            for file in await self._attached(version, timeout_seconds):
                within = paths.add(f"{ATTACHMENTS_FOLDER}/{file.path}")
                places.append((file, target / within))
        await asyncio.to_thread(_make_empty, target)
        for file, place in places:
            await self._pull_file(file, place, deadline)
        if version.signature_bundle:
            text = version.signature_bundle
            await asyncio.to_thread((target / SIGNATURE_NAME).write_text, text, "utf-8")
        return version

    async def version_file(
        self, model: str, number: int, path: str, *, timeout_seconds: float | None = None
    ) -> bytes:
        """The bytes of one file of a version, such as its labels.

        Raises NotFound (VERSION_NOT_FOUND, FILE_NOT_FOUND), DataLoss (BLOB_DAMAGED).
        """
        settings = self._calls.settings
        total = settings.push_timeout_seconds if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + total
        version = await self.version(model, number, timeout_seconds=timeout_seconds)
        file = next((each for each in version.files if each.path == path), None)
        if file is None:
            paths = ", ".join(each.path for each in version.files[:_LISTED])
            raise errors.NotFound(
                "FILE_NOT_FOUND",
                f"version {number} of {model} has no file {path!r}; it has {paths}",
            )
        out = io.BytesIO()
        await self._read_blob(file, out, deadline)
        _check_digest(file, hashlib.sha256(out.getvalue()).hexdigest())
        return out.getvalue()

    async def _attached(
        self, version: Version, timeout_seconds: float | None
    ) -> list[ArtifactFile]:
        """The files that were attached to a version."""
        name = annotations_resource(version.model, version.number)
        request = annotation_service_pb2.GetAnnotationsRequest(name=name)
        said = await self._ask_registry(methods.GET_ANNOTATIONS, request, timeout_seconds)
        return [attachment_from_proto(each).file for each in said.attachments]

    async def _pull_file(self, file: ArtifactFile, place: Path, deadline: float) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as out:
            await self._read_blob(file, out, deadline)
        await asyncio.to_thread(_check, file, place)

    async def _read_blob(self, file: ArtifactFile, out: BinaryIO, deadline: float) -> None:
        """Write a blob's bytes, whatever they are. A download that breaks goes on where it was."""
        await self._calls.call(
            "registry",
            lambda address, seconds: self._rest(file, out, address, seconds),
            repeatable=True,
            timeout_seconds=max(0.0, deadline - time.monotonic()),
        )

    async def _rest(
        self, file: ArtifactFile, out: BinaryIO, address: str, seconds: float
    ) -> registry_service_pb2.ReadBlobResponse | Undecodable:
        """Write what is missing of a file; gives the last message. Raises grpc.RpcError."""
        request = registry_service_pb2.ReadBlobRequest(sha256=file.sha256, offset=out.tell())
        call = self._calls.stream(methods.READ_BLOB, address, request, seconds)
        last: registry_service_pb2.ReadBlobResponse | Undecodable
        last = registry_service_pb2.ReadBlobResponse()
        async for message in call:
            last = message
            if isinstance(message, Undecodable):
                break
            await asyncio.to_thread(out.write, message.chunk)
        call.cancel()
        return last


def _make_empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise errors.FailedPrecondition(
            "FOLDER_NOT_EMPTY",
            f"{folder} is not empty, and what is pulled would mix with what is there: name a new folder",
        )


def _check(file: ArtifactFile, place: Path) -> None:
    with place.open("rb") as written:
        found = hashlib.file_digest(written, "sha256").hexdigest()
    if found != file.sha256:
        place.unlink()
    _check_digest(file, found)


def _check_digest(file: ArtifactFile, found: str) -> None:
    if found != file.sha256:
        raise errors.DataLoss(
            "BLOB_DAMAGED",
            f"{file.path} arrived as {found}, and {file.sha256} was pushed: push the version again",
            facts={"sha256": file.sha256, "found": found},
        )
