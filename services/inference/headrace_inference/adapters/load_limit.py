"""A bound on how long opening and warming a version may take: a hostile graph must not load for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headrace.errors import FailedPrecondition


@contextmanager
def load_limit(version: str, seconds: float, cancel: Callable[[], None]) -> Iterator[None]:
    """Call `cancel`, from another thread, if the inside takes longer than `seconds`.

    The inside then ends with an error of its own, which becomes FailedPrecondition (LOAD_TIMEOUT).
    """
    passed = threading.Event()

    def stop() -> None:
        passed.set()
        cancel()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if passed.is_set():
            raise _too_long(version, seconds) from error
        raise
    finally:
        timer.cancel()
        timer.join()
    if passed.is_set():  # it finished while the time ran out, but what `cancel` did stays done
        raise _too_long(version, seconds)


def _too_long(version: str, seconds: float) -> FailedPrecondition:
    return FailedPrecondition(
        "LOAD_TIMEOUT",
        f"{version} took more than {seconds:g} s to open and warm, and was given up; "
        "push it with a lower session.graph_optimization or smaller batches",
        facts={"limit_seconds": f"{seconds:g}"},
    )
