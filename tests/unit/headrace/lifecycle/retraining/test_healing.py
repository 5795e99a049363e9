"""Which errors a run waits for, which end it, which it keeps for another time."""

from __future__ import annotations

import pytest

from headrace import errors
from headrace.lifecycle.retraining.healing import ends_run, heals, patiently


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.Unavailable("SERVICE_UNREACHABLE", "away"), (True, False)),
        (errors.DeadlineExceeded("DEADLINE_EXCEEDED", "slow"), (True, False)),
        (errors.DeadlineExceeded("VERSION_NOT_READY", "no replica"), (False, True)),
        (errors.ResourceExhausted("TOO_MANY_PUSHES", "busy"), (True, False)),
        (errors.ResourceExhausted("ANNOTATIONS_TOO_LARGE", "large"), (False, True)),
        (errors.FailedPrecondition("ROUTE_BUSY", "another trial"), (True, False)),
        (errors.FailedPrecondition("VERSION_NOT_SERVED", "it starts"), (True, False)),
        (errors.FailedPrecondition("GATE_NOT_PASSED", "worse"), (False, True)),
        (errors.NotFound("MODEL_NOT_FOUND", "deleted"), (False, True)),
        (errors.PermissionDenied("PERMISSION_DENIED", "no"), (False, True)),
        (errors.Unauthenticated("KEY_EXPIRED", "old key"), (False, False)),
    ],
)
def test_what_becomes_of_a_run(error: errors.HeadraceError, expected: tuple[bool, bool]) -> None:
    """It waits, or it ends; with a key that is no longer good it goes on another time."""
    assert expected == (heals(error), ends_run(error))


async def test_what_heals_is_waited_for_and_told_once() -> None:
    """What does not is raised at once, and so is what takes longer than the patience."""
    told: list[str] = []
    wrong: list[errors.HeadraceError] = [errors.Unavailable("SERVICE_UNREACHABLE", "away")]

    async def action() -> str:
        if wrong:
            raise wrong.pop()
        return "done"

    assert "done" == await patiently(action, "push", 60, told.append)
    assert ["push waits: SERVICE_UNREACHABLE: away"] == told
    for error in (errors.NotFound("MODEL_NOT_FOUND", "gone"), errors.Unavailable("X", "away")):
        wrong.append(error)
        with pytest.raises(type(error)):
            await patiently(action, "push", 0.05, told.append)
    assert 1 == len(told)
