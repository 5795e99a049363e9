"""Decides when an event loop that takes bursts rests, so that a receiving thread beside it gets its share.

Both need the interpreter, and a loop whose callers always have the next request ready never lets go of it
for longer than another thread takes to wake up. Measured with `benchmarks.wires`, row `beside-rest-8`.
"""

from __future__ import annotations

COSTS = 8
"""Each moment of a burst is paid for with so many: its requests were read and parsed before it, and what is
left is for others."""

MOST_DEBT_NS = 1_000_000
REST_SECONDS = 0.002
"""One rest; an event loop's timers count milliseconds."""


class FairTurns:
    """Keeps what a loop has taken more than its share of the time: its debt, which time pays off."""

    def __init__(self) -> None:
        self._debt_ns = 0
        self._looked_ns = 0
        self._others = 0

    def must_rest(self, now_ns: int, others: int) -> bool:
        """Tell before a burst whether to rest first. `others` changes with each burst that others take."""
        self._debt_ns = max(0, self._debt_ns - (now_ns - self._looked_ns))
        self._looked_ns = now_ns
        are_active, self._others = others != self._others, others
        return are_active and self._debt_ns > MOST_DEBT_NS

    def took(self, began_ns: int, ended_ns: int) -> None:
        """A burst was taken."""
        self._debt_ns = min(self._debt_ns + COSTS * (ended_ns - began_ns), 6 * MOST_DEBT_NS)
        self._looked_ns = began_ns
