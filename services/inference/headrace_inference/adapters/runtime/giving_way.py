"""Loading that gives way to serving: the thread that optimises a graph runs at a lower priority."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

NICENESS = 10
"""A tenth of a core's share against a thread that serves; all of a core that nobody else wants."""


def give_way() -> None:
    """Lower this thread's priority, for as long as it lives: nobody may raise it again without privilege.

    Threads that it starts from now on have the same. Only Linux knows priorities of threads.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def nothing_but_give_way() -> Iterator[str]:
    """An empty list of optimisers to leave out, whose reading makes the reader give way.

    ONNX Runtime reads that list when a session has started its threads, which are to serve and must not
    inherit a low priority, and has yet to optimise the graph, which is the long part of opening one.
    """
    give_way()
    yield from ()
