"""The machine's clock."""

from __future__ import annotations

import time


class SystemClock:
    """Reads the operating system's clocks."""

    monotonic_ns = staticmethod(time.monotonic_ns)
    wall_ns = staticmethod(time.time_ns)
    thread_ns = staticmethod(time.thread_time_ns)


SYSTEM_CLOCK = SystemClock()
