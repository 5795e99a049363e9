"""Tells errors that may be over soon from those that would be the same tomorrow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from headrace import errors
from headrace.lifecycle.retraining.lease import UNDER_WAY
from headrace.lifecycle.retraining.route_moves import ROUTE_BUSY

Result = TypeVar("Result")

_SOON = (errors.Unavailable, errors.DeadlineExceeded, errors.Aborted, errors.ResourceExhausted)
_FINAL = frozenset({"VERSION_NOT_READY", "ANNOTATIONS_TOO_LARGE"})
_OF_THE_STATE = frozenset({ROUTE_BUSY, "VERSION_NOT_SERVED"})
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0


def heals(error: errors.HeadraceError) -> bool:
    """Return whether the same may be asked again in a while: a service is away, the route is taken."""
    if error.reason in _OF_THE_STATE:
        return True
    return isinstance(error, _SOON) and error.reason not in _FINAL


def ends_run(error: errors.HeadraceError) -> bool:
    """Return whether a run is over with it. One whose key is no longer good goes on with another."""
    return not heals(error) and not isinstance(error, errors.Unauthenticated | errors.Cancelled)


def is_lost(error: errors.HeadraceError) -> bool:
    """Return whether another run took the model over."""
    return error.reason == UNDER_WAY


async def patiently(
    action: Callable[[], Awaitable[Result]],
    what: str,
    patience_seconds: float,
    told: Callable[[str], None],
) -> Result:
    """Do something again and again while what stands in its way may heal, which is told once each."""
    until, said, pause = 0.0, "", _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await action()
        except errors.HeadraceError as error:
            until = until or time.monotonic() + patience_seconds
            if not heals(error) or time.monotonic() + pause > until:
                raise
            if error.reason != said:
                said = error.reason
                told(f"{what} waits: {error.reason}: {error.message}")
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
