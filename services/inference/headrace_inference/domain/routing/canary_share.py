"""Whose turn it is where a canary gets a share of the requests."""

from __future__ import annotations

import threading


class CanaryShare:
    """Gives a canary its share by error diffusion: in any stretch of requests it is off by one at most.

    Threads of every front take turns here, so a turn is one act; and it outlives routing tables, which
    change whenever any version does.
    """

    __slots__ = ("_mutex", "_owed_percent")

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._owed_percent = 0.0

    def take_turn(self, weight_percent: float) -> bool:
        """Whether the next request is the canary's, which is to get so many of a hundred."""
        with self._mutex:
            self._owed_percent += weight_percent
            if self._owed_percent < _WHOLE:
                return False
            self._owed_percent -= 100
            return True

    def give_back(self, weight_percent: float, *, to_canary: bool) -> None:
        """As if the turn that was the canary's, or was not, had never been taken."""
        with self._mutex:
            self._owed_percent += (100 if to_canary else 0) - weight_percent


_WHOLE = 100 - 1e-9
"""In floating point a thousand times 0.1 is less, and the thousandth request is the canary's anyway."""
