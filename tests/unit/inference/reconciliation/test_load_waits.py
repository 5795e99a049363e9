"""What a request is told that waited for a load for as long as it may."""

from __future__ import annotations

import asyncio
import time

import pytest

from headrace.errors import HeadraceError
from headrace.state.catalog import Catalog
from headrace.state.records import ModelRecord
from headrace.state.route_records import RouteRecord
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.reconciliation.held_versions import HeldVersions
from headrace_inference.domain.reconciliation.residency import Caps
from headrace_inference.domain.reconciliation.standby import Standby
from tests.unit.inference.doubles import version

uvloop = pytest.importorskip("uvloop")

KEY = ("m", 1)
CATALOG = Catalog(1, {"m": ModelRecord("m", 0.0, route=RouteRecord(1))}, {KEY: version()})


def told_within(deadline_seconds: float | None, load_wait_seconds: float) -> set[str]:
    """The reasons that 100 requests get for a version that nobody loads."""

    async def reason(standby: Standby) -> str:
        now = time.monotonic_ns()
        deadline = None if deadline_seconds is None else now + int(deadline_seconds * 1e9)
        with pytest.raises(HeadraceError) as refused:
            await standby.wait_until_loaded(KEY, now, deadline)
        return refused.value.reason

    async def all_of_them() -> set[str]:
        standby = Standby(
            HeldVersions(), Caps(max_versions=1), SYSTEM_CLOCK, load_wait_seconds, lambda: None
        )
        standby.follow(CATALOG, ["m"])
        return {await reason(standby) for _ in range(100)}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(all_of_them())


def test_who_waits_until_its_deadline_is_told_of_the_deadline() -> None:
    """Though a timer comes up to a millisecond early: a caller would repeat what is Unavailable."""
    assert {"DEADLINE_EXCEEDED"} == told_within(0.0015, load_wait_seconds=30)


@pytest.mark.parametrize("deadline_seconds", [None, 60.0])
def test_who_waits_as_long_as_any_may_is_told_of_that(deadline_seconds: float | None) -> None:
    """Its deadline is later, or it has none."""
    assert {"NO_ROOM_TO_LOAD"} == told_within(deadline_seconds, load_wait_seconds=0.0015)
