"""An event loop in a thread of its own, for callers that have none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, TypeVar

Result = TypeVar("Result")
_END = object()


class LoopThread:
    """Runs coroutines for threads that wait for them; `close` ends the loop and joins its thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="headrace-client", daemon=True
        )
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._loop.is_closed()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """What the coroutine returns or raises; when the waiting thread is interrupted, it is cancelled."""
        if self.closed:
            coroutine.close()
            raise RuntimeError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(
        self, start: Callable[[], AsyncGenerator[Result, None]]
    ) -> Generator[Result, None, None]:
        """The items of an asynchronous generator, which is closed when the reader stops."""
        items = start()
        try:
            while (item := self.run(_next(items))) is not _END:
                yield item
        finally:
            if not self.closed:
                self.run(items.aclose())

    def close(self) -> None:
        """Cancel what still runs, end the loop, join its thread."""
        self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _next(items: AsyncGenerator[Any, None]) -> Any:
    return await anext(items, _END)


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
