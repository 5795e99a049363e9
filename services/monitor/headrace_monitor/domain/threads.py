"""Runs what takes long in a thread, so that the event loop answers others meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

Result = TypeVar("Result")


async def run_in(thread: Executor | None, work: Callable[[], Result]) -> Result:
    """Run `work` in `thread` (None: the loop's own threads); returns or raises what it does."""
    return await asyncio.get_running_loop().run_in_executor(thread, work)
