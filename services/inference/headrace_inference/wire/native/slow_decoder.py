"""A thread that decodes requests whose decoding takes long, so that the one that receives does not wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Call = TypeVar("Call")


class SlowDecoder(Generic[Call]):
    """Hands what is deferred to `decode`, one after the other. Its queue is bounded by who puts."""

    def __init__(self, decode: Callable[[Call], None]) -> None:
        self._decode = decode
        self._waiting: queue.SimpleQueue[Call | None] = queue.SimpleQueue()

    def put(self, call: Call) -> None:
        """Have a call decoded."""
        self._waiting.put(call)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Decode while inside; on leaving, finish what was put."""
        thread = threading.Thread(target=self._run, name="native-decoder", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._waiting.put(None)
            thread.join()

    def _run(self) -> None:
        while (call := self._waiting.get()) is not None:
            self._decode(call)
