"""Runs what blocks in a thread, to its end: nothing is written once its caller has given up the place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def to_its_end(
    function: Callable[[], Result], cancelled: Callable[[], None] = lambda: None
) -> Result:
    """The result of a function, which runs in a thread.

    Whoever is cancelled while he waits waits on until it has ended: a thread cannot be stopped, and would
    write into folders that are removed, and make them anew. `cancelled` may tell it to hurry.
    """
    task = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        cancelled()
        await asyncio.gather(task, return_exceptions=True)
        raise
