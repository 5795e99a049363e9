"""Loading that gives way to serving: at a lower priority, and off some of the cores."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from pathlib import Path

NICENESS = 10
"""A tenth of a core's share against a thread that serves; all of a core that nobody else wants."""

_TASKS = Path("/proc/self/task")
_GIVEN_WAY = (
    min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS) if sys.platform == "linux" else 0
)
"""Counted from what this process began with: whoever starts it with `nice` means all of it."""


def give_way() -> None:
    """Lower this thread's priority, for as long as it lives: nobody may raise it again without privilege.

    Threads that it starts from now on have the same. Only Linux knows priorities of threads.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _GIVEN_WAY)


def lower_priority_after_threads_started() -> Iterator[str]:
    """An empty list of optimisers to leave out, whose reading makes the reader give way.

    ONNX Runtime reads that list when a session has started its threads, which are to serve and must not
    inherit a low priority, and has yet to optimise the graph, which is the long part of opening one.
    """
    give_way()
    yield from ()


@contextmanager
def reserve_cores() -> Iterator[None]:
    """Keep this thread, and those that it starts, off a quarter of its cores, one at least, while inside.

    A thread that wakes up finds a free core at once, and a busy one only when the kernel looks again, up to
    10 ms later, whatever the priorities: warm-up runs on all cores would show in what the others answer.
    On leaving every thread that was kept off may use all of them. Only Linux can do that.
    """
    everything = os.sched_getaffinity(0) if sys.platform == "linux" else set[int]()
    some = most_of(everything)
    try:
        _keep_to(0, some)
        yield
    finally:
        for thread in _threads_kept_to(some):
            _keep_to(thread, everything)


def most_of(cores: AbstractSet[int]) -> set[int]:
    """Three quarters of these cores, and one less than all at most; none of a single one."""
    return set(sorted(cores)[: len(cores) - max(1, len(cores) // 4)])


def _threads_kept_to(cores: AbstractSet[int]) -> list[int]:
    kept = []
    for thread in _TASKS.iterdir() if cores else ():
        with suppress(OSError):  # it has ended
            if os.sched_getaffinity(int(thread.name)) == cores:
                kept.append(int(thread.name))
    return kept


def _keep_to(thread: int, cores: AbstractSet[int]) -> None:
    if cores:
        with suppress(OSError):  # it has ended, or whoever runs this process forbids it
            os.sched_setaffinity(thread, cores)
