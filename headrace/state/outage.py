"""Logs and paces attempts while the shared state cannot be used."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from headrace import errors
from headrace.state.wholeness import NOT_WHOLE

logger = logging.getLogger(__name__)

ACCESS_DENIED = "STATE_ACCESS_DENIED"
"""The reason where the server does not let this process do what it must."""
FIRST_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 2.0
REPEAT_SECONDS = 60.0
"""A line for each failure would bury everything else in the log; none at all would look like health."""
_TO_LOOK_AT = (NOT_WHOLE, "STATE_UNREADABLE")
"""Reasons that do not heal by themselves."""


class Outage:
    """One outage after the other: a line when it begins, rarely one while it lasts, one when it is over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._backoff = FIRST_BACKOFF_SECONDS
        self._said_at: float | None = None
        self._reason = ""

    def failed(self, error: errors.Unavailable) -> float:
        """Take a failure; how many seconds to wait before the next attempt, longer each time."""
        now = self._clock()
        repeat = self._said_at is not None and now - self._said_at >= REPEAT_SECONDS
        reason = f"{error.reason} {error.facts.get('refusal', '')}"
        if repeat or reason != self._reason:
            facts = {"reason": error.reason, **error.facts}
            level = logging.ERROR if error.reason in _TO_LOOK_AT else logging.WARNING
            logger.log(level, "waiting for the shared state: %s", error.message, extra=facts)
            self._said_at = now
        self._reason = reason
        seconds = self._backoff
        self._backoff = min(seconds * 2, MAX_BACKOFF_SECONDS)
        return seconds

    def over(self) -> None:
        """Take a success."""
        if self._said_at is not None:
            logger.info("the shared state can be used again")
        self._said_at, self._reason = None, ""
        self._backoff = FIRST_BACKOFF_SECONDS
