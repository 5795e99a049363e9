"""Bounds on opening and warming a version: a hostile graph must not load for ever, or eat all memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.errors import FailedPrecondition, HeadraceError, Unavailable
from headrace.machine.memory import own_memory_bytes

_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class LoadBounds:
    """The time that a load may take, and by how much the process may grow meanwhile (0: no limit).

    Once `abandoned` is set, nobody wants what is loaded any more.
    """

    seconds: float = 600.0
    memory_bytes: int = 0
    abandoned: threading.Event | None = None


class LoadWatch:
    """Looks at one load, whose memory `used_bytes` tells."""

    def __init__(self, version: str, bounds: LoadBounds, used_bytes: Callable[[], int]) -> None:
        self._version = version
        self._bounds = bounds
        self._used_bytes = used_bytes
        self._until = time.monotonic() + bounds.seconds
        self._most_bytes = used_bytes() + bounds.memory_bytes

    def pause(self) -> float:
        """For how many seconds nobody need look."""
        left = max(0.0, self._until - time.monotonic())
        looks = self._bounds.memory_bytes or self._bounds.abandoned is not None
        return min(left, _LOOK_SECONDS) if looks else left

    def is_abandoned(self) -> bool:
        """Return whether nobody wants it any more."""
        return self._bounds.abandoned is not None and self._bounds.abandoned.is_set()

    def passed(self) -> HeadraceError | None:
        """Return which bound is passed: LOAD_ABANDONED, LOAD_TIMEOUT, LOAD_TOO_LARGE, or none."""
        if self.is_abandoned():
            return _abandoned(self._version)
        if time.monotonic() >= self._until:
            return _too_long(self._version, self._bounds.seconds)
        if self._bounds.memory_bytes and self._used_bytes() > self._most_bytes:
            return _too_large(self._version, self._bounds.memory_bytes)
        return None


@contextmanager
def load_limit(version: str, bounds: LoadBounds, cancel: Callable[[], None]) -> Iterator[None]:
    """Call `cancel`, from another thread, if the inside takes more than its bounds.

    The inside then ends with an error of its own, which becomes FailedPrecondition (LOAD_TIMEOUT or
    LOAD_TOO_LARGE). Memory is looked at again and again, so one large step may be noticed only when it is
    taken; what else grows in the process meanwhile counts, too.
    """
    watch = LoadWatch(version, bounds, own_memory_bytes)
    watching = _Watching(watch, cancel)
    thread = threading.Thread(target=watching.run, name=f"limit-{version}", daemon=True)
    thread.start()
    try:
        yield
    except Exception as error:
        if watching.passed is not None:
            raise watching.passed from error
        raise
    finally:
        watching.ended.set()
        thread.join()
    if watching.passed is not None:  # it finished all the same, but what `cancel` did stays done
        raise watching.passed
    if watch.is_abandoned():
        raise _abandoned(version)


class _Watching:
    """A thread that looks until the load has ended or has passed a bound."""

    def __init__(self, watch: LoadWatch, cancel: Callable[[], None]) -> None:
        self._watch = watch
        self._cancel = cancel
        self.ended = threading.Event()
        self.passed: HeadraceError | None = None

    def run(self) -> None:
        while not self.ended.wait(self._watch.pause()):
            self.passed = self._watch.passed()
            if self.passed is not None:
                self._cancel()
                return


def _abandoned(version: str) -> Unavailable:
    return Unavailable("LOAD_ABANDONED", f"nobody wants {version} any more: its load is given up")


def _too_long(version: str, seconds: float) -> FailedPrecondition:
    return FailedPrecondition(
        "LOAD_TIMEOUT",
        f"{version} took more than {seconds:g} s to open and warm, and was given up; "
        "push it with a lower session.graph_optimization or smaller batches",
        facts={"limit_seconds": f"{seconds:g}"},
    )


def _too_large(version: str, memory_bytes: int) -> FailedPrecondition:
    return FailedPrecondition(
        "LOAD_TOO_LARGE",
        f"opening and warming {version} took more than {memory_bytes} bytes of memory "
        "(max_load_memory_bytes), and was given up; push it with smaller batches, or raise the setting",
        facts={"limit_bytes": str(memory_bytes), "setting": "max_load_memory_bytes"},
    )
