"""When a failed call is made again, and after which pause: decisions without a clock or a network."""

from __future__ import annotations

import math

from headrace import errors

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
BY_HAND = frozenset({"STATE_NOT_STARTED", "STATE_NOT_WHOLE", "STATE_ACCESS_DENIED"})
"""Reasons that are over soon where a service has just started, else not before somebody mends it."""
MOST_TRIES_BY_HAND = 3
MOST_TRIES_FAILED_LOAD = 16
"""Of a version that a replica could not load: it tries again within half a minute, or in vain."""


def may_heal(error: errors.HeadraceError) -> bool:
    """Return whether the same call may succeed later, or elsewhere, and was not refused for what it is.

    A server that ends cancels what comes in the same moment; a caller's own cancelling is no such error.
    """
    return isinstance(error, (errors.Unavailable, errors.Cancelled))


def pause_before_retry(
    error: errors.HeadraceError,
    *,
    failures: int,
    remaining_seconds: float,
    chance: float,
    elsewhere: bool = False,
) -> float | None:
    """Seconds to wait before a call that may be repeated is made again, or None: give up.

    There is none where it goes `elsewhere`, to a server that has not failed it. Else the pause is drawn
    from zero to a bound that doubles with every failure (`chance`, 0 to 1, is the draw), so that many
    callers do not come back at once; it is at least what the service asked for. It must end before the
    deadline does. What heals by hand only is tried three times, and a version whose load failed sixteen.
    """
    if not may_heal(error) or failures >= _most_tries(error):
        return None
    if elsewhere:
        pause = 0.0
    else:
        bound = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16))
        pause = max(chance * bound, error.retry_after_seconds or 0.0)
    return pause if pause < remaining_seconds else None


def _most_tries(error: errors.HeadraceError) -> float:
    """Return how often a call is made at most that fails so; only time bounds most."""
    if error.reason in BY_HAND:
        return MOST_TRIES_BY_HAND
    has_failed = error.reason == "VERSION_NOT_READY" and error.facts.get("state") == "UNAVAILABLE"
    return MOST_TRIES_FAILED_LOAD if has_failed else math.inf
