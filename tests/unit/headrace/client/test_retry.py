"""When the client makes a failed call again."""

from __future__ import annotations

import pytest

from headrace import errors
from headrace.client.retry import pause_before_retry

GONE = errors.Unavailable("STATE_UNAVAILABLE", "gone")
BUSY = errors.Unavailable("STATE_UNAVAILABLE", "gone", retry_after_seconds=1.0)
LOST = errors.Cancelled("CANCELLED", "cancelled")
EMPTIED = errors.Unavailable("STATE_NOT_STARTED", "gone", retry_after_seconds=1.0)
FAILED = errors.Unavailable("VERSION_NOT_READY", "no", facts={"state": "UNAVAILABLE"})
LOADING = errors.Unavailable("VERSION_NOT_READY", "no", facts={"state": "LOADING"})
REFUSED = errors.NotFound("MODEL_NOT_FOUND", "no")


def test_there_is_no_pause_before_another_server_is_asked() -> None:
    """What one server wished for says nothing of the next."""
    pause = pause_before_retry(BUSY, failures=3, remaining_seconds=1.0, chance=1.0, elsewhere=True)
    assert 0.0 == pause


@pytest.mark.parametrize(
    ("error", "failures", "remaining", "chance", "expected"),
    [
        (GONE, 1, 10.0, 0.5, 0.05),  # half of the first bound
        (GONE, 2, 10.0, 0.5, 0.1),  # the bound doubles
        (GONE, 4, 10.0, 1.0, 0.8),
        (GONE, 9, 60.0, 1.0, 5.0),  # and has a bound itself
        (BUSY, 1, 10.0, 0.5, 1.0),  # the service's own wish is the least
        (GONE, 100, 60.0, 1.0, 5.0),  # only time and the budget end it
        (EMPTIED, 2, 900.0, 0.5, 1.0),  # it may have just started
        (EMPTIED, 3, 900.0, 0.5, None),  # or somebody has to restore its data
        (FAILED, 15, 600.0, 1.0, 5.0),  # a replica tries a failed load again
        (FAILED, 16, 600.0, 1.0, None),  # but not for as long as an answer may take
        (LOADING, 100, 600.0, 1.0, 5.0),
        (LOST, 1, 10.0, 0.5, 0.05),  # a server that ends cancels what comes in the same moment
        (GONE, 1, 0.04, 0.5, None),  # the pause would outlast the deadline
        (REFUSED, 1, 10.0, 0.5, None),  # no other error heals by itself
    ],
)
def test_pause(
    error: errors.HeadraceError,
    failures: int,
    remaining: float,
    chance: float,
    expected: float | None,
) -> None:
    """A row each: what failed, how often, with how much time left, and the pause (None: give up)."""
    pause = pause_before_retry(error, failures=failures, remaining_seconds=remaining, chance=chance)

    assert expected == pytest.approx(pause)
