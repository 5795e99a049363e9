"""The two kinds of stream: a push that comes in, and a watch that goes on until the service stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from headrace import errors
from headrace.registry.v1 import registry_service_pb2 as pb

Item = TypeVar("Item")

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


async def until_set(stopping: asyncio.Event, items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    """The items, until `stopping` is set. Then raises Unavailable (SERVICE_STOPPING): try another time."""
    stopped = asyncio.ensure_future(stopping.wait())
    coming: asyncio.Future[Item] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(items))
            await asyncio.wait([coming, stopped], return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                raise errors.Unavailable(
                    "SERVICE_STOPPING",
                    "the registry is stopping: watch again",
                    retry_after_seconds=1.0,
                )
            yield coming.result()
    except StopAsyncIteration:
        return
    finally:
        await _end(stopped, coming)


async def _end(*waiting: asyncio.Future[bool] | asyncio.Future[Item] | None) -> None:
    futures = [future for future in waiting if future is not None]
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
