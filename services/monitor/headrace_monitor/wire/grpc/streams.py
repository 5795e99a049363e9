"""Streams that end when the service stops, so that none holds its drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

Item = TypeVar("Item")


async def until_set(stopping: asyncio.Event, items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    """The items, none of which is None, until there are no more or `stopping` is set."""
    stopped = asyncio.ensure_future(stopping.wait())
    try:
        while (item := await _next_before(stopped, items)) is not None:
            yield item
    finally:
        await _cancel(stopped)


async def _next_before(stopped: asyncio.Future[Item], items: AsyncIterator[Item]) -> Item | None:
    following = asyncio.ensure_future(anext(items, None))
    try:
        await asyncio.wait((stopped, following), return_when=asyncio.FIRST_COMPLETED)
        return following.result() if following.done() else None
    finally:
        await _cancel(following)


async def _cancel(task: asyncio.Future[Item]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))


async def ticks(stopping: asyncio.Event, interval_seconds: float) -> AsyncIterator[None]:
    """One at once, then one every so many seconds, until `stopping` is set; those missed are skipped."""
    now = asyncio.get_running_loop().time
    due = now()
    while not stopping.is_set():
        yield
        due = max(due + interval_seconds, now())
        try:
            async with asyncio.timeout_at(due):
                await stopping.wait()
        except TimeoutError:
            continue
