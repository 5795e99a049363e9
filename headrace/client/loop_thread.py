"""An event loop in a thread of its own, for callers that have none."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")


class _End:
    """Stands for the end of an asynchronous generator."""


_END = _End()


class LoopThread:
    """Runs coroutines for threads that wait for them; `close` ends the loop and joins its thread.

    In a forked child, where the thread is not, it starts another.
    """

    def __init__(self) -> None:
        self._closed = False
        self._running: _Running | None = _start()
        self._lock = threading.Lock()
        _all.add(self)

    @property
    def closed(self) -> bool:
        """Return whether `close` was called."""
        return self._closed

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Return what the coroutine returns or raises; interrupting the waiting thread cancels it."""
        if self._closed:
            coroutine.close()
            raise RuntimeError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._here().loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(
        self, start: Callable[[], AsyncGenerator[Result, None]]
    ) -> Generator[Result, None, None]:
        """The items of an asynchronous generator, which is closed when the reader stops."""
        items, running = start(), self._here()
        try:
            while not isinstance(item := self.run(_next(items)), _End):
                yield item
        finally:
            if not self._closed and running is self._running:  # else it is the parent's to close
                self.run(items.aclose())

    def close(self) -> None:
        """Cancel what still runs, end the loop, join its thread."""
        self.run(_cancel_others())
        self._closed = True
        running = self._here()
        running.loop.call_soon_threadsafe(running.loop.stop)
        running.thread.join()
        running.loop.close()

    def _here(self) -> _Running:
        """Return what runs in this process."""
        with self._lock:
            if self._running is None:
                self._running = _start()
            return self._running

    def after_fork_in_child(self) -> None:
        """Leave the parent's loop alone: its poll set is shared, so closing it here would hurt there."""
        self._lock = threading.Lock()  # a thread that is not here may have held it
        if self._running is not None and not self._closed:
            _of_parents.append(self._running)
            self._running = None


@dataclass(frozen=True, slots=True)
class _Running:
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread


_all: weakref.WeakSet[LoopThread] = weakref.WeakSet()
_of_parents: list[_Running] = []


def _start() -> _Running:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="headrace-client", daemon=True)
    thread.start()
    return _Running(loop, thread)


def _after_fork_in_child() -> None:
    for each in list(_all):
        each.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork_in_child)


async def _next(items: AsyncGenerator[Result, None]) -> Result | _End:
    return await anext(items, _END)


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
