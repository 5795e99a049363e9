"""Takes what the native package received, burst after burst, in one thread, and hands it on.

The package's queue has no bound, so whoever takes a burst must not wait. Waking a sleeping thread takes
longer than a small model's run, so after a lone call the thread polls for the next one for a while before
it sleeps, as long as that pays.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from headrace_inference.domain.scheduling.inline_policy import INLINE_POLICY

logger = logging.getLogger(__name__)

MAX_BURST = 512
LARGE_BYTES = 131_072
"""After a message of this size calls are taken one at a time: each is run while it still is in the core's
cache. A burst of messages of 1 MiB took 5 to 15 % more CPU time a request."""
_WATCH_SECONDS, _SELDOM_SECONDS = 0.02, 0.1
"""How often somebody looks whether the receiving thread is held up: seldom where it was always free, which
it is unless it runs small models. Every time it takes some 70 µs from one of the cores that run."""

Event = TypeVar("Event")

Receive = Callable[[int, int | None], list[Event] | None]
"""At most so many events, waiting so many milliseconds for the first; None once the front is closed."""
SizeOf = Callable[[Event], int]
"""The bytes of an event's message."""
Take = Callable[[Sequence[Event], int, int], None]
"""Takes a burst, when it was received (monotonic nanoseconds), and how many calls came one at a time."""


class PollBudget:
    """The time to poll for the next call before sleeping, in nanoseconds.

    Only after a lone call: where several are in flight, those that come while the thread wakes up make a
    batch. Only while it pays: callers that take longer to call again would have a core burnt in vain.
    """

    MOST = 8
    TRIES_EVERY = 64

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._worth = self.MOST
        self._skipped = 0

    def after(self, calls: int) -> int:
        """Return how long to poll after a burst of so many."""
        if calls != 1 or not self._window_ns:
            return 0
        if self._worth > 0:
            return self._window_ns
        self._skipped += 1
        if self._skipped < self.TRIES_EVERY:
            return 0
        self._skipped = 0
        return self._window_ns

    def adjust(self, *, found: bool) -> None:
        """Adjust the budget to whether polling for that long found a call."""
        self._worth = min(self.MOST, self._worth + 1) if found else max(0, self._worth - 2)


class Receiver(Generic[Event]):
    """The receiving thread, and another in its place where a run that it was given holds it up."""

    def __init__(
        self, receive: Receive[Event], take: Take[Event], size_of: SizeOf[Event], poll_ns: int = 0
    ) -> None:
        self._receive = receive
        self._take = take
        self._size_of = size_of
        self._budget = PollBudget(poll_ns)
        self._threads: list[threading.Thread] = []
        self._mutex = threading.Lock()  # guards the next two: one thread is relieved, and once
        self._thread = 0  # the identity of the one that receives
        self._taking_since_ns = 0
        self.last_burst_ns = 0
        """When the last burst was received, in monotonic nanoseconds; 0 before the first."""

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Receive while inside. Whoever leaves has closed what is received from."""
        closed = threading.Event()
        watch = threading.Thread(
            target=self._watch, args=(closed,), name="native-watch", daemon=True
        )
        self._start()
        watch.start()
        try:
            yield
        finally:
            closed.set()
            for thread in (watch, *self._threads):
                await asyncio.to_thread(thread.join)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="native-front", daemon=True)
        thread.start()
        self._threads = [*(former for former in self._threads if former.is_alive()), thread]

    def _run(self) -> None:
        mine = self._thread = threading.get_ident()
        single_calls = 0
        taken = time.monotonic_ns()
        events: Sequence[Event] | None = self._receive(MAX_BURST, None)
        while events is not None:
            now = time.monotonic_ns()
            self._taking_since_ns = self.last_burst_ns = now
            single_calls = INLINE_POLICY.count_single_calls(single_calls, len(events), now - taken)
            self._take(events, now, single_calls)
            with self._mutex:
                if self._thread != mine:
                    return
                self._taking_since_ns = 0
            taken = time.monotonic_ns()
            events = self._next(events)

    def _next(self, former: Sequence[Event]) -> Sequence[Event] | None:
        if former and self._size_of(former[-1]) >= LARGE_BYTES:
            return self._receive(1, None)  # without polling: the next takes longer to come
        poll_ns = self._budget.after(len(former))
        if poll_ns:
            events = self._busy_poll(poll_ns)
            self._budget.adjust(found=bool(events))
            if events:
                return events
        return self._receive(MAX_BURST, None)

    def _busy_poll(self, for_ns: int) -> Sequence[Event] | None:
        receive, now = self._receive, time.monotonic_ns
        until = now() + for_ns
        while now() < until:
            if events := receive(MAX_BURST, 0):
                return events
        return None

    def _watch(self, closed: threading.Event) -> None:
        pause = _WATCH_SECONDS
        while not closed.wait(pause):
            since = self._taking_since_ns
            pause = _WATCH_SECONDS if since else min(2 * pause, _SELDOM_SECONDS)
            if since and INLINE_POLICY.is_stalled(since, time.monotonic_ns()):
                self._hand_over(since)

    def _hand_over(self, since_ns: int) -> None:
        with self._mutex:
            if self._taking_since_ns != since_ns:  # it has just gone on
                return
            former = self._thread
            self._taking_since_ns = self._thread = 0
            try:
                self._start()
            except RuntimeError:  # no more threads: it stays the one that receives, when it can
                self._taking_since_ns, self._thread = since_ns, former
                return
        logger.warning("a run that should be quick is not: another thread receives")
