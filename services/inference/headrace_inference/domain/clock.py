"""Declares the clock that the domain reads; the app passes one in."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Tells the time, in nanoseconds. Its methods may be kept and called on their own."""

    def monotonic_ns(self) -> int:
        """Return the time since any point before; it never steps back."""

    def wall_ns(self) -> int:
        """Return the time since the Unix epoch; it steps where the machine's clock is set."""

    def thread_ns(self) -> int:
        """Return the CPU time that the calling thread has used."""


def monotonic_seconds(clock: Clock) -> float:
    """Return the monotonic time in seconds."""
    return clock.monotonic_ns() / 1e9
