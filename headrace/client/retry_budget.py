"""Bounds how many calls are repeated: a share of all, and a few a second beside them.

A service that is away, or overloaded, gets little more than its usual load from those that repeat.
"""

from __future__ import annotations

RESERVE_PER_SECOND = 10.0
"""Repeats that may always be made: a caller that is alone goes on until its deadline."""
RESERVE = 100.0
"""Up to so many of them are saved for when they are needed, as when a replica dies with calls in flight."""
MOST = 1000.0


class RetryBudget:
    """Tokens: each call brings a share of one, time brings the reserve, each repeat takes one.

    With a share of 0 nothing is ever repeated. `now` is in seconds of a clock that never goes back.
    """

    def __init__(self, share: float, now: float) -> None:
        self._share = share
        self._tokens = RESERVE if share else 0.0
        self._filled_at = now

    def deposit(self) -> None:
        """A call is made for the first time."""
        self._tokens = min(MOST, self._tokens + self._share)

    def withdraw(self, now: float) -> bool:
        """Return whether a call may be repeated; if so, that is what is left less."""
        if not self._share:
            return False
        if self._tokens < RESERVE:
            passed = now - self._filled_at
            self._tokens = min(RESERVE, self._tokens + passed * RESERVE_PER_SECOND)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
