"""Threads of work that is interrupted: they end before what they write into is removed."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from pathlib import Path

import pytest

from headrace.lifecycle.threads import to_its_end


async def test_a_thread_ends_before_its_folder_is_removed() -> None:
    """It is told to hurry, and nothing of what it writes then is left."""
    begun, hurry, written = asyncio.Event(), threading.Event(), list[Path]()
    loop = asyncio.get_running_loop()

    def write(folder: Path) -> None:
        loop.call_soon_threadsafe(begun.set)
        hurry.wait()
        place = folder / "late"
        place.mkdir(parents=True)
        written.append(place)

    async def work() -> None:
        with tempfile.TemporaryDirectory() as name:
            await to_its_end(lambda: write(Path(name)), hurry.set)

    task = asyncio.ensure_future(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 1 == len(written)
    assert not written[0].parent.exists()


async def test_results_and_errors_are_told() -> None:
    """As those of a function that is called."""
    assert 3 == await to_its_end(lambda: 3)
    with pytest.raises(ZeroDivisionError):
        await to_its_end(lambda: 1 // 0)
