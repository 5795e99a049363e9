"""Jobs that go on whatever happens: what serves must not end because something beside it met an error."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 30.0
_HEALED_SECONDS = 60.0
"""A job that ran for so long since it began again is well."""


async def keep_running(
    name: str,
    job: Callable[[], Awaitable[None]],
    first_pause_seconds: float = FIRST_PAUSE_SECONDS,
) -> None:
    """Run a job until it is cancelled or ends by itself; after an unexpected error begin it again.

    After a second at first, after 30 at most, and with an ERROR in the log each time.
    """
    pause, now = first_pause_seconds, asyncio.get_running_loop().time
    while True:
        began = now()
        try:
            await job()
        except Exception:
            if now() - began > _HEALED_SECONDS:
                pause = first_pause_seconds
            facts = {"job": name, "again_in_seconds": pause}
            logger.exception("a job met an unexpected error and begins again", extra=facts)
        else:
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, MAX_PAUSE_SECONDS)


async def in_own_thread(name: str, work: Callable[[], None]) -> None:
    """Run what may block for minutes in a thread of its own: the loop's few are for what takes moments.

    Cancelling does not end it. Raises what it raises.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        failure = None
        try:
            work()
        except Exception as error:  # noqa: BLE001  # it reaches whoever awaits
            failure = error
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, failure)

    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the system has no more threads: one of the loop's does it
        await asyncio.to_thread(work)
        return
    await done
