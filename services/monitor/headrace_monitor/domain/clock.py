"""Two times: what the clock says, and how long the monitor has run.

A clock may be wrong and be set right, forwards or back. So it only says where a count belongs and what a
question is about. What grows old does so by the steady time: that in which the monitor ran, over restarts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Moment(NamedTuple):
    """A point in time, by both."""

    now_ns: int
    """Nanoseconds since the epoch, as the clock has it: reports of several machines meet in it."""
    steady_ns: int
    """Began as the clock's at the first start, and goes on as long as the monitor runs, with no step."""


Clock = Callable[[], Moment]


class TimeSource(Protocol):
    """Gives the two times."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""

    def elapsed_ns(self) -> int:
        """Nanoseconds since any point before; it never steps."""


def start_clock(source: TimeSource, steady_ns: int) -> Clock:
    """A clock whose steady time goes on from `steady_ns`."""
    began_ns = source.elapsed_ns() - steady_ns
    return lambda: Moment(source.now_ns(), source.elapsed_ns() - began_ns)
