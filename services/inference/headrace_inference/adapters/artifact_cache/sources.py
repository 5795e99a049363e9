"""Fetches artifacts from the registry, or from the object store that it shares with replicas."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

import grpc

from headrace import status
from headrace.errors import DataLoss, HeadraceError, Unavailable
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2_grpc as pb_grpc
from headrace.service.object_store import ObjectStore, blob_key
from headrace.state.records import ArtifactFile
from headrace.tls.peers import Metadata, Peer

logger = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
"""A download that brings no byte for this long is broken off, to go on at the next try."""


class ArtifactSource(Protocol):
    """Gives the bytes of artifacts."""

    def read(self, file: ArtifactFile, offset: int) -> AsyncGenerator[bytes, None]:
        """A file's bytes from `offset`. Raises Unavailable, and DataLoss where they are not to be had."""


class RegistrySource:
    """The registry, where it is called."""

    def __init__(self, registry: Peer) -> None:
        self._registry = registry

    async def read(self, file: ArtifactFile, offset: int) -> AsyncGenerator[bytes, None]:
        """A file's bytes from `offset`. Raises Unavailable, DataLoss."""
        stub: Any = pb_grpc.RegistryServiceStub(self._registry.channel())
        wanted = pb.ReadBlobRequest(sha256=file.sha256, offset=offset)
        call = stub.ReadBlob(wanted, metadata=_metadata(file, self._registry))
        try:
            while (chunk := await _next_chunk(call)) is not None:
                yield chunk
        except TimeoutError:
            raise _silent(file) from None
        except grpc.aio.AioRpcError as error:
            raise _fetch_error(file, status.error_from_rpc(error)) from error
        finally:
            call.cancel()


class SharedSource:
    """The store of objects, and the registry for what cannot be had there."""

    def __init__(self, store: ObjectStore, registry: ArtifactSource) -> None:
        self._store = store
        self._registry = registry

    async def read(self, file: ArtifactFile, offset: int) -> AsyncGenerator[bytes, None]:
        """A file's bytes from `offset`. Raises Unavailable, DataLoss as the registry does."""
        is_whole = False
        try:
            async with aclosing(self._store.read(blob_key(file.sha256), offset)) as chunks:
                while (chunk := await _before_idle(chunks)) is not None:
                    offset += len(chunk)
                    yield chunk
            is_whole = True
        except (HeadraceError, TimeoutError) as error:
            logger.warning(
                "%s is fetched from the registry, since the blob store did not give it: %s",
                file.path,
                error,
                extra={"sha256": file.sha256},
            )
        if is_whole:
            return
        async with aclosing(self._registry.read(file, offset)) as rest:
            async for chunk in rest:
                yield chunk


async def _before_idle(chunks: AsyncGenerator[bytes, None]) -> bytes | None:
    """The next bytes, or None at the end. Raises TimeoutError, and as `chunks` does."""
    async with asyncio.timeout(IDLE_SECONDS):
        return await anext(chunks, None)


async def _next_chunk(call: Any) -> bytes | None:
    """The next bytes, or None at the end. Raises TimeoutError, Unavailable."""
    async with asyncio.timeout(IDLE_SECONDS):
        message = await call.read()
    if message is None:  # what gRPC gives for bytes that it cannot decode
        raise Unavailable(
            "ARTIFACT_UNAVAILABLE",
            "the registry's answer is not a part of a file; it is asked again",
        )
    return None if message is grpc.aio.EOF else bytes(message.chunk)


def _metadata(file: ArtifactFile, registry: Peer) -> Metadata:
    """What the call brings. Raises Unavailable: a token file that is replaced comes back."""
    try:
        return registry.metadata()
    except HeadraceError as error:
        raise _fetch_error(file, Unavailable(error.reason, error.message)) from error


def _silent(file: ArtifactFile) -> Unavailable:
    return Unavailable("ARTIFACT_UNAVAILABLE", f"no byte of {file.path} came for {IDLE_SECONDS} s")


def _fetch_error(file: ArtifactFile, error: HeadraceError) -> HeadraceError:
    if isinstance(error, Unavailable):
        return Unavailable(
            "ARTIFACT_UNAVAILABLE",
            f"{file.path} cannot be fetched from the registry: {error.message}",
        )
    return DataLoss(error.reason, f"the registry cannot give {file.path}: {error.message}")
