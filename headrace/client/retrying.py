"""When a failed call is made again, and after which pause: decisions without a clock or a network."""

from __future__ import annotations

from headrace import errors

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


def pause_before_retry(
    error: errors.HeadraceError,
    *,
    failures: int,
    attempts: int,
    remaining_seconds: float,
    chance: float,
) -> float | None:
    """Seconds to wait before a call that may be repeated is made again, or None: give up.

    Only what is UNAVAILABLE may heal. The pause is drawn from zero to a bound that doubles with every
    failure (`chance`, 0 to 1, is the draw), so that many callers do not come back at once; it is at
    least what the service asked for. It must end before the deadline does.
    """
    if not isinstance(error, errors.Unavailable) or failures >= attempts:
        return None
    bound = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (failures - 1))
    pause = max(chance * bound, error.retry_after_seconds or 0.0)
    return pause if pause < remaining_seconds else None
