"""Requests that wait until a version that stood by is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from headrace.errors import (
    DeadlineExceeded,
    HeadraceError,
    ResourceExhausted,
    Unavailable,
)
from headrace.state.desired import Key

RETRY_AFTER_SECONDS = 1.0

LOAD_WAIT_TIMEOUT = "LOAD_WAIT_TIMEOUT"
NO_ROOM_TO_LOAD = "NO_ROOM_TO_LOAD"

Tell = Callable[[HeadraceError | None], None]
"""Called once, on the event loop: None when the present table may know an answer, or why it has none."""


@dataclass(slots=True, eq=False)
class LoadWait:
    """A request that waits: since when and until when, in monotonic nanoseconds, and who is told."""

    key: Key
    received_ns: int
    deadline_ns: int | None
    tell: Tell
    timer: asyncio.TimerHandle | None = None

    def until_ns(self, most_seconds: float) -> int:
        """Return when it has waited long enough."""
        longest = self._longest_ns(most_seconds)
        return longest if self.deadline_ns is None else min(longest, self.deadline_ns)

    def ends_by_deadline(self, most_seconds: float) -> bool:
        """Return whether its deadline ends it. No clock is asked: timers come up to a millisecond early."""
        return self.deadline_ns is not None and self.deadline_ns <= self._longest_ns(most_seconds)

    def _longest_ns(self, most_seconds: float) -> int:
        return self.received_ns + int(most_seconds * 1e9)


class LoadWaits:
    """All that wait, by version. They are told in the order in which they came."""

    def __init__(self) -> None:
        self._waits: dict[Key, dict[LoadWait, None]] = {}

    def count(self, key: Key) -> int:
        """Return how many wait for a version."""
        return len(self._waits.get(key, ()))

    def any(self) -> bool:
        """Return whether anything waits."""
        return bool(self._waits)

    def add(self, wait: LoadWait, in_seconds: float, late: Callable[[LoadWait], None]) -> None:
        """Have a request wait; if it still does after a time, call `late` with it, which waits no more."""

        def expire() -> None:
            self.remove(wait)
            late(wait)

        self._waits.setdefault(wait.key, {})[wait] = None
        wait.timer = asyncio.get_running_loop().call_later(max(0.0, in_seconds), expire)

    def remove(self, wait: LoadWait) -> bool:
        """A request waits no more. False: it did not any more."""
        waits = self._waits.get(wait.key, {})
        if wait not in waits:
            return False
        if wait.timer is not None:
            wait.timer.cancel()
        del waits[wait]
        if not waits:
            del self._waits[wait.key]
        return True

    def settle(self, key: Key, error: HeadraceError | None = None) -> None:
        """Tell all that wait for a version."""
        for wait in self._waits.pop(key, {}):
            if wait.timer is not None:
                wait.timer.cancel()
            wait.tell(error)

    def settle_all(self, error: HeadraceError) -> None:
        """Tell all."""
        for key in list(self._waits):
            self.settle(key, error)


def deadline_passed(key: Key, waited_ns: int) -> HeadraceError:
    """Return what a request gets whose deadline passed before its version was loaded."""
    return DeadlineExceeded(
        "DEADLINE_EXCEEDED",
        f"the request's deadline passed after {waited_ns / 1e6:.1f} ms, before '{key[0]}' version {key[1]} "
        "was loaded for it; it was not run. Allow more time, or pin the model",
    )


def takes_long(key: Key, seconds: float) -> HeadraceError:
    """Return what a request gets that has waited for a load for as long as any may."""
    return Unavailable(
        LOAD_WAIT_TIMEOUT,
        f"'{key[0]}' version {key[1]} was not loaded within {seconds:g} s (load_wait_seconds); its load "
        "goes on: retry, or pin the model",
        facts={"setting": "load_wait_seconds", "version": str(key[1])},
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def no_room(key: Key, seconds: float) -> HeadraceError:
    """Return what a request gets whose version could not even begin to load."""
    return ResourceExhausted(
        NO_ROOM_TO_LOAD,
        f"there was no room to load '{key[0]}' version {key[1]} within {seconds:g} s: what is loaded "
        "answers requests or is pinned, or other loads take long; retry, add replicas, or raise "
        "max_loaded_versions or max_loaded_bytes",
        facts={"setting": "max_loaded_versions", "version": str(key[1])},
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )
