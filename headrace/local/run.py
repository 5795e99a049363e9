"""Runs the suite in the foreground until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from headrace import errors
from headrace.local.commands import SuiteOptions
from headrace.local.suite import Suite

logger = logging.getLogger(__name__)

OnReady = Callable[[dict[str, Any]], Awaitable[None]]
"""Is told where everything is; may go on for as long as the suite runs."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def run(options: SuiteOptions, on_ready: OnReady) -> None:
    """Run the suite until SIGINT or SIGTERM, then drain and stop it; `on_ready` is told where all is.

    A second signal ends every child and this process at once. Raises the HeadraceError that kept a child
    from its first start, or that `on_ready` raised, after everything is stopped again.
    """
    suite = Suite(options)
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_serve(suite, on_ready))
            with _signals(task, suite):
                await asyncio.wait([task])
    except BaseExceptionGroup as failures:
        expected = _expected(failures)
        if expected is None:
            raise
        raise expected from None


async def _serve(suite: Suite, on_ready: OnReady) -> None:
    async with suite.running():
        await on_ready(suite.as_json())
        await asyncio.Event().wait()  # until cancelled


@contextmanager
def _signals(task: asyncio.Task[None], suite: Suite) -> Iterator[None]:
    """While inside, the first signal cancels `task`, which drains, and the second ends all at once."""
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if task.cancelling():
            suite.kill()
            os._exit(128 + number)
        logger.info("stopping", extra={"signal": number.name})
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _expected(failures: BaseExceptionGroup[BaseException]) -> errors.HeadraceError | None:
    """The first expected error in the group, unless a bug is there too."""
    expected, bugs = failures.split(errors.HeadraceError)
    if bugs is not None or expected is None:
        return None
    first: BaseException = expected
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, errors.HeadraceError)
    return first
