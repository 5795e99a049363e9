"""The times of this machine."""

from __future__ import annotations

import time


class SystemTime:
    """The clock, and how long the machine has been awake."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return time.time_ns()

    def elapsed_ns(self) -> int:
        """Nanoseconds since any point before, without those in which the machine slept."""
        return time.monotonic_ns()
