"""Runs what calls itself as deep as a caller's text is nested."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from headrace_inference.domain.scheduling import queue_refusals as refusals

STACK_BYTES = 512 << 20
"""Addresses, not memory: what is not reached is not there."""

T = TypeVar("T")
_sizes = threading.Lock()


def on_deep_stack(name: str, work: Callable[[], T]) -> T:
    """Return what the work does, on a thread of its own; its exceptions too.

    Raises ResourceExhausted (NO_THREAD).
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001  # whoever waits gets it
            done.set_exception(error)

    _start(threading.Thread(target=run, name=name, daemon=True))
    return done.result()


def _start(thread: threading.Thread) -> None:
    with _sizes:  # the size is the process's, for threads that start meanwhile
        before = threading.stack_size(STACK_BYTES)
        try:
            thread.start()
        except RuntimeError as error:
            raise refusals.no_thread(thread.name) from error
        finally:
            threading.stack_size(before)
