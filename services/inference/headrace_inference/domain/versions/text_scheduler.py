"""Takes the tensor requests of a version of text: each is read on a thread of its own, and handed over."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from headrace_inference.domain.scheduling.queue_refusals import no_thread
from headrace_inference.domain.scheduling.request_failures import error_of
from headrace_inference.domain.scheduling.requests import InferenceRequest
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.scheduling.watchdog import RunWatchdog


class TextEngine(Protocol):
    """Whatever runs the texts of a version."""

    @property
    def waiting(self) -> int:
        """Count what waits for room."""

    def wake(self) -> None:
        """Have it look again at what nobody waits for."""

    def stop(self) -> None:
        """Take nothing more, and finish what was taken. Blocks until then."""


class Awaited(Protocol):
    """A call that an engine runs for somebody."""

    cancelled: bool
    deadline_ns: int | None


class TextScheduler:
    """The domain's Scheduler of a version of text. `hand_over` makes a call of a request and submits it.

    Making tokens of a long text takes milliseconds: neither an event loop nor a receiving thread does that.
    """

    def __init__(
        self,
        name: str,
        hand_over: Callable[[InferenceRequest], None],
        engine: TextEngine,
        watchdog: RunWatchdog,
    ) -> None:
        self._name = name
        self._hand_over = hand_over
        self._engine = engine
        self._watchdog = watchdog
        self._lock = threading.Lock()
        self._unread: queue.SimpleQueue[InferenceRequest | None] = queue.SimpleQueue()
        self._reader: threading.Thread | None = None
        self._reading = 0
        self._stopped = False
        self._calls: set[Awaited] = set()
        watchdog.add(self)

    @property
    def waiting(self) -> int:
        """Count the requests that are not read yet, and what waits for room."""
        return self._reading + self._engine.waiting

    @property
    def in_flight(self) -> int:
        """Count the requests that are not read yet, and what waits or runs."""
        return self._reading + len(self._calls)

    @property
    def expected_wait_ns(self) -> float:
        """Return 0: how long answers become is not known."""
        return 0.0

    def began(self, call: Awaited) -> None:
        """A call was submitted."""
        with self._lock:
            self._calls.add(call)

    def is_over(self, call: Awaited) -> None:
        """A call has ended."""
        with self._lock:
            self._calls.discard(call)

    def enqueue(self, requests: Sequence[InferenceRequest]) -> None:
        """Take requests in tensors. Raises SchedulerStopped."""
        with self._lock:
            if self._stopped:
                raise SchedulerStopped
            if self._reader is None and not self._start():
                refused = requests
            else:
                refused = ()
                self._reading += len(requests)
                for request in requests:
                    self._unread.put(request)
        for request in refused:
            request.fail(no_thread(self._name))

    def acquire_inline(self) -> bool:
        """Return False: nothing of it is over in moments."""
        return False

    def release_inline(self) -> None:
        """Never called."""
        raise AssertionError("never acquired")

    def open_background(self) -> None:
        """Do nothing: their engine puts them into the lowest level."""

    def stop_batching(self) -> bool:
        """Return False: what shares a step of an engine does not share a run."""
        return False

    def stop(self) -> None:
        """Take no more, finish what was taken, and end the engine. Blocks until then."""
        with self._lock:
            self._stopped = True
            self._unread.put(None)
            reader = self._reader
        if reader is not None:
            reader.join()
        self._engine.stop()
        self._watchdog.remove(self)

    def drop_unwanted(self, now_ns: int) -> None:
        """Have the engine look, where somebody waits no more for what it runs."""
        with self._lock:
            gone = any(
                call.cancelled or (call.deadline_ns is not None and now_ns > call.deadline_ns)
                for call in self._calls
            )
        if gone:
            self._engine.wake()

    def _start(self) -> bool:
        reader = threading.Thread(target=self._read, name=f"text-{self._name}", daemon=True)
        try:
            reader.start()
        except RuntimeError:  # the system starts no more
            return False
        self._reader = reader
        return True

    def _read(self) -> None:
        while (request := self._unread.get()) is not None:
            try:
                self._hand_over(request)
            except Exception as error:  # noqa: BLE001  # it is this request's, which must hear of it
                request.fail(error_of(self._name, error))
            with self._lock:
                self._reading -= 1
