"""A thread that decodes requests whose decoding takes long, so that the one that receives does not wait."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from headrace_inference.domain.reconciliation.load_waits import LoadWait
from headrace_inference.domain.scheduling.queue_refusals import CALLER_GONE, deadline_passed
from headrace_inference.domain.scheduling.requests import is_late


class DeferredCall:
    """A request that was put aside: an event of the native package, and when it came."""

    __slots__ = (
        "call_id",
        "cancelled",
        "deadline_ns",
        "details",
        "event",
        "payload",
        "received_ns",
        "wait",
    )

    def __init__(self, event: Any, received_ns: int) -> None:
        self.event = event
        _, self.call_id, _, self.payload, _, self.details = event
        self.received_ns = received_ns
        seconds = self.details[2]
        self.deadline_ns = None if seconds is None else received_ns + int(seconds * 1e9)
        self.cancelled = False
        self.wait: LoadWait | None = None
        """Where it waits for a load."""

    def leave(self, now_ns: int) -> None:
        """Its caller waits no longer: of its own accord, or because its time is up."""
        if self.deadline_ns is not None and is_late(self.deadline_ns, now_ns):
            self.deadline_ns = min(self.deadline_ns, now_ns - 1)
        else:
            self.cancelled = True

    def check_wanted(self) -> None:
        """Raises Cancelled or DeadlineExceeded where nobody waits for the answer any more."""
        if self.cancelled:
            raise CALLER_GONE
        now = time.monotonic_ns()
        if self.deadline_ns is not None and now > self.deadline_ns:
            raise deadline_passed(now - self.received_ns)


class Decoder:
    """Hands what is put aside to `decode`, one after the other. Its queue is bounded by who puts."""

    def __init__(self, decode: Callable[[DeferredCall], None]) -> None:
        self._decode = decode
        self._waiting: queue.SimpleQueue[DeferredCall | None] = queue.SimpleQueue()

    def put(self, aside: DeferredCall) -> None:
        """Have a request decoded."""
        self._waiting.put(aside)

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
        while (aside := self._waiting.get()) is not None:
            self._decode(aside)
