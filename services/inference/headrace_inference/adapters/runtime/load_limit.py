"""Bounds on opening and warming a version: a hostile graph must not load for ever, or eat all memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.errors import FailedPrecondition, HeadraceError
from headrace_inference.adapters.resident_memory import resident_bytes

_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class LoadBounds:
    """How long a load may take, and by how much the process may grow meanwhile (0: by any amount)."""

    seconds: float = 600.0
    memory_bytes: int = 0


@contextmanager
def load_limit(version: str, bounds: LoadBounds, cancel: Callable[[], None]) -> Iterator[None]:
    """Call `cancel`, from another thread, if the inside takes more than its bounds.

    The inside then ends with an error of its own, which becomes FailedPrecondition (LOAD_TIMEOUT or
    LOAD_TOO_LARGE). Memory is looked at again and again, so one large step may be noticed only when it is
    taken; what else grows in the process meanwhile counts, too.
    """
    watch = _LoadWatch(version, bounds, cancel)
    thread = threading.Thread(target=watch.run, name=f"limit-{version}", daemon=True)
    thread.start()
    try:
        yield
    except Exception as error:
        if watch.passed is not None:
            raise watch.passed from error
        raise
    finally:
        watch.ended.set()
        thread.join()
    if watch.passed is not None:  # it finished all the same, but what `cancel` did stays done
        raise watch.passed


class _LoadWatch:
    """Looks at one load until it has ended or has passed a bound."""

    def __init__(self, version: str, bounds: LoadBounds, cancel: Callable[[], None]) -> None:
        self._version = version
        self._bounds = bounds
        self._cancel = cancel
        self._until = time.monotonic() + bounds.seconds
        self._most_bytes = resident_bytes() + bounds.memory_bytes
        self.ended = threading.Event()
        self.passed: HeadraceError | None = None

    def run(self) -> None:
        while not self.ended.wait(self._pause()):
            self.passed = self._look()
            if self.passed is not None:
                self._cancel()
                return

    def _pause(self) -> float:
        left = max(0.0, self._until - time.monotonic())
        return min(left, _LOOK_SECONDS) if self._bounds.memory_bytes else left

    def _look(self) -> HeadraceError | None:
        if time.monotonic() >= self._until:
            return _too_long(self._version, self._bounds.seconds)
        if self._bounds.memory_bytes and resident_bytes() > self._most_bytes:
            return _too_large(self._version, self._bounds.memory_bytes)
        return None


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
        f"the replica grew by more than {memory_bytes} bytes (max_load_memory_bytes) while {version} was "
        "opened and warmed, and gave it up; push it with smaller batches, or raise the setting",
        facts={"limit_bytes": str(memory_bytes), "setting": "max_load_memory_bytes"},
    )
