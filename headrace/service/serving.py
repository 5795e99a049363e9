"""The life of a service process: run, be told to stop, drain, end.

A service's `__main__` reads its settings and calls `run(main)`. `main` opens what it needs with `async
with`, tells `announce_ready`, and waits for `stopping`; leaving the blocks is the drain.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from headrace import errors
from headrace.service.private_files import use_private_umask

logger = logging.getLogger(__name__)

EXIT_FAILED = 1
Main = Callable[[asyncio.Event], Awaitable[None]]


def run(main: Main, *, stop_with_stdin: bool = False) -> int:
    """Run `main(stopping)` on a fresh event loop and return the process's exit status.

    The first SIGTERM or SIGINT (or, if asked for, the end of standard input) sets `stopping`; the second
    signal ends the process at once. What it writes is for its account alone. An expected error is logged in
    one line; anything else flies.
    """
    status = 0
    use_private_umask()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(_main(main, stop_with_stdin))
        except* errors.HeadraceError as group:
            status = EXIT_FAILED
            for error in _leaves(group):
                facts = {"reason": error.reason}
                logger.error("the service ended: %s", error, extra=facts)  # noqa: TRY400
    return status


async def _main(main: Main, stop_with_stdin: bool) -> None:  # noqa: FBT001
    stopping = asyncio.Event()
    with graceful_exit(stopping), _stop_at_eof(stopping, enabled=stop_with_stdin):
        await main(stopping)


@contextmanager
def graceful_exit(stopping: asyncio.Event) -> Iterator[None]:
    """While inside, the first SIGTERM or SIGINT sets `stopping` and the second ends the process.

    It may be set already: whoever closes our standard input and signals at once means one stop.
    """
    loop = asyncio.get_running_loop()
    signalled = False

    def on_signal(number: signal.Signals) -> None:
        nonlocal signalled
        if signalled:
            os._exit(128 + number)
        signalled = True
        logger.info("stopping", extra={"signal": number.name})
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextmanager
def _stop_at_eof(stopping: asyncio.Event, *, enabled: bool) -> Iterator[None]:
    """A parent holds the other end of our standard input: when it is gone, however it died, we stop."""
    if not enabled:
        yield
        return
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno()

    def on_readable() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stopping.set()

    loop.add_reader(descriptor, on_readable)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)


JOINING = "joining"
"""The `stage` in the line of a service that is alive, and may take any time to be ready."""


def announce_alive(addresses: Mapping[str, str], ready_fd: int | None) -> None:
    """Tell a parent that waits where the service is going to be, and that it is ready later.

    One that waits no more has ended, or is about to end the service: that is not an error.
    """
    if ready_fd is not None:
        with suppress(BrokenPipeError):
            os.write(ready_fd, f"{json.dumps({**addresses, 'stage': JOINING})}\n".encode())


def announce_ready(addresses: Mapping[str, str], ready_fd: int | None) -> None:
    """Log the bound addresses, and write them as one JSON line to `ready_fd` where a parent waits."""
    logger.info("listening", extra=dict(addresses))
    if ready_fd is not None:
        with suppress(BrokenPipeError), os.fdopen(ready_fd, "w") as pipe:
            pipe.write(json.dumps(dict(addresses)) + "\n")


class Background:
    """Jobs of a block: each runs until the block is left; one that fails ends the block."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, job: Coroutine[Any, Any, None]) -> None:
        """Run a job in the background."""
        task = self._group.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """End all jobs; leaving the block does this."""
        for task in list(self._tasks):
            task.cancel()


@asynccontextmanager
async def open_background() -> AsyncIterator[Background]:
    """Jobs that run while inside and are cancelled and awaited on leaving."""
    async with asyncio.TaskGroup() as group:
        background = Background(group)
        try:
            yield background
        finally:
            background.cancel()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # no wheel for this platform: the standard loop serves
        return None
    return uvloop.new_event_loop


def _leaves(
    group: BaseExceptionGroup[errors.HeadraceError],
) -> Iterator[errors.HeadraceError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
