"""Decides whose turn it is where a version gets a share of the requests."""

from __future__ import annotations

import threading


class RequestShare:
    """Gives a version its share by error diffusion: in any stretch of requests it is off by one at most.

    Threads of every front take turns here, so a turn is one act; and it outlives routing tables, which
    change whenever any version does. Where several versions have shares of the same requests, one whose
    turn coincides with another's has it a request later.
    """

    __slots__ = ("_mutex", "_owed_percent")

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._owed_percent = 0.0

    def take_turn(self, weight_percent: float) -> bool:
        """Return whether the next request is this version's, which is to get so many of a hundred."""
        with self._mutex:
            self._owed_percent += weight_percent
            if self._owed_percent < _WHOLE:
                return False
            self._owed_percent -= 100
            return True

    def wait_turn(self, weight_percent: float) -> None:
        """The next request is another's."""
        with self._mutex:
            self._owed_percent += weight_percent

    def give_back(self, weight_percent: float, *, taken: bool) -> None:
        """As if the turn that was this version's, or was not, had never been."""
        with self._mutex:
            self._owed_percent += (100 if taken else 0) - weight_percent


_WHOLE = 100 - 1e-9
"""In floating point a thousand times 0.1 is less, and the thousandth request is the version's anyway."""
