"""One run at a time: two that begin at once, one that was killed, one that is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from headrace import errors
from headrace.lifecycle.retraining.lease import EXPIRE_SECONDS, LABEL, Lease


@dataclass(frozen=True)
class Record:
    labels: Mapping[str, str] = field(default_factory=dict)
    etag: str = "1"


class Registry:
    """Changes labels on condition of the etag, as the registry does."""

    def __init__(self, interruptions: int = 0) -> None:
        self.record = Record({"team": "vision"})
        self.interruptions = interruptions

    async def model(self, model: str) -> Record:
        return self.record

    async def update_model(self, model: str, *, labels: Mapping[str, str], etag: str) -> Record:
        if self.interruptions:
            self.interruptions -= 1
            self.record = Record(self.record.labels, f"{self.record.etag}x")
        if etag != self.record.etag:
            raise errors.Aborted("ETAG_MISMATCH", "changed")
        self.record = Record(dict(labels), f"{etag}y")
        return self.record


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_of_two_runs_one_is_refused_until_the_other_gives_back() -> None:
    """What else the labels say stays."""
    registry, time = Registry(), Time()
    first, second = (Lease(registry, "m", run, time) for run in ("r1", "r2"))
    await first.take()
    await first.take()
    with pytest.raises(errors.FailedPrecondition, match="run r1 retrains 'm'") as caught:
        await second.take()
    assert "RETRAINING_UNDER_WAY" == caught.value.reason
    await second.give_back()
    assert LABEL in registry.record.labels
    await first.give_back()
    assert {"team": "vision"} == registry.record.labels
    await second.take()


async def test_what_a_killed_run_left_expires_and_can_be_taken_over() -> None:
    """Not before its time, unless somebody says that it is gone; whoever lost it learns so."""
    registry, time = Registry(), Time()
    first, second, third = (Lease(registry, "m", run, time) for run in ("r1", "r2", "r3"))
    await first.take()
    await second.take(over=True)
    with pytest.raises(errors.FailedPrecondition, match="run r2 retrains"):
        await first.renew()
    time.now += EXPIRE_SECONDS - 1
    with pytest.raises(errors.FailedPrecondition):
        await first.renew()
    time.now += 1
    await third.take()
    assert registry.record.labels[LABEL].startswith("r3 ")


async def test_changes_of_others_in_between_are_survived_but_not_for_ever() -> None:
    """Each attempt is made on the newest labels."""
    await Lease(Registry(interruptions=3), "m", "r1", Time()).take()
    with pytest.raises(errors.Aborted, match="try again"):
        await Lease(Registry(interruptions=99), "m", "r1", Time()).take()


async def test_a_clock_that_was_wrong_holds_nobody_up() -> None:
    """What was renewed in a future that is far off counts as nothing."""
    registry, time = Registry(), Time()
    time.now = 9e9
    await Lease(registry, "m", "r1", time).take()
    time.now = 1000.0
    await Lease(registry, "m", "r2", time).take()
    assert registry.record.labels[LABEL].startswith("r2 ")
