"""The messages of a push: a header, then chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator

from headrace import errors
from headrace.registry.v1 import registry_service_pb2 as pb

MAX_CHUNK_BYTES = 4 << 20


async def read_header(
    requests: AsyncIterator[pb.PushVersionRequest],
) -> pb.PushVersionRequest.Header:
    """The header of a push. Raises InvalidArgument (PUSH_HEADER_MISSING)."""
    first = await anext(requests, None)
    if first is None or not first.HasField("header"):
        raise errors.InvalidArgument(
            "PUSH_HEADER_MISSING", "the first message of a push must be its header"
        )
    return first.header


async def read_chunks(requests: AsyncIterator[pb.PushVersionRequest]) -> AsyncIterator[bytes]:
    """The bytes after the header. Raises InvalidArgument (PUSH_CHUNK_MISSING, CHUNK_TOO_LARGE)."""
    async for request in requests:
        if not request.HasField("chunk"):
            raise errors.InvalidArgument(
                "PUSH_CHUNK_MISSING", "every message of a push but the first must be a chunk"
            )
        if len(request.chunk) > MAX_CHUNK_BYTES:
            raise errors.InvalidArgument(
                "CHUNK_TOO_LARGE",
                f"a chunk has {len(request.chunk)} bytes; up to {MAX_CHUNK_BYTES} are allowed",
            )
        yield request.chunk
        del request  # an upload that stalls must not hold it
