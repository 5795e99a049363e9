"""When the client makes a failed call again."""

from __future__ import annotations

import pytest

from headrace import errors
from headrace.client.retrying import pause_before_retry

GONE = errors.Unavailable("STATE_UNAVAILABLE", "gone")
BUSY = errors.Unavailable("STATE_UNAVAILABLE", "gone", retry_after_seconds=1.0)
REFUSED = errors.NotFound("MODEL_NOT_FOUND", "no")


@pytest.mark.parametrize(
    ("error", "failures", "remaining", "chance", "expected"),
    [
        (GONE, 1, 10.0, 0.5, 0.05),  # half of the first bound
        (GONE, 2, 10.0, 0.5, 0.1),  # the bound doubles
        (GONE, 4, 10.0, 1.0, 0.8),
        (GONE, 9, 60.0, 1.0, 5.0),  # and has a bound itself
        (BUSY, 1, 10.0, 0.5, 1.0),  # the service's own wish is the least
        (GONE, 10, 60.0, 0.5, None),  # the last attempt failed
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
    pause = pause_before_retry(
        error, failures=failures, attempts=10, remaining_seconds=remaining, chance=chance
    )

    assert expected == pytest.approx(pause)
