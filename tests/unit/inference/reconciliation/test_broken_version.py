"""A version that cannot run any more is taken out and opened anew; wrong inputs alone do not do that."""

from __future__ import annotations

import asyncio

import pytest

from headrace.state.records import LoadState, VersionRecord
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.routing.table import HELD, STABLE
from headrace_inference.domain.scheduling.failure_detector import RUNS_BEFORE_PROBE, FailureStreak
from headrace_inference.domain.scheduling.runner import RunFailed
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.unit.inference.doubles import DoublingRunner, RecordingSink, catalog
from tests.unit.inference.scheduling.pools import request

PATIENCE_SECONDS = 20


class FatalFailure(RunFailed):
    """The device is gone."""

    is_fatal = True


@pytest.mark.parametrize(
    ("failure", "probed", "count", "expected"),
    [
        (RunFailed("bad input"), "", RUNS_BEFORE_PROBE, []),
        (RunFailed("bad input"), "no memory", RUNS_BEFORE_PROBE - 1, []),
        (RunFailed("bad input"), "no memory", RUNS_BEFORE_PROBE, ["no memory"]),
        (RunFailed("bad input"), "no memory", RUNS_BEFORE_PROBE * 3, ["no memory"]),
        (FatalFailure("CUDA failure"), "", RUNS_BEFORE_PROBE, ["CUDA failure"]),
        (FatalFailure("CUDA failure"), "", 1, []),
    ],
)
def test_a_version_is_broken_when_its_probe_fails_or_its_device_says_so(
    failure: RunFailed, probed: str, count: int, expected: list[str]
) -> None:
    """It is told once, and only after several failures in a row."""
    told: list[str] = []
    streak = FailureStreak(lambda: probed, told.append)
    for _ in range(count):
        streak.add(failure)
    assert expected == told


def test_a_run_that_works_ends_the_streak() -> None:
    """Failures that are spread among answers never lead to a probe."""
    told: list[str] = []
    streak = FailureStreak(lambda: "no memory", told.append)
    for _ in range(RUNS_BEFORE_PROBE * 2):
        streak.add(RunFailed("bad input"))
        streak.length = 0
    assert [] == told


class DoublingLoader:
    """Loads doubling runners at once; `runners` are those of each version, the newest last."""

    def __init__(self) -> None:
        self.runners: dict[int, list[DoublingRunner]] = {}
        self.may_load = asyncio.Event()
        self.may_load.set()

    async def load(self, record: VersionRecord) -> DoublingRunner:
        await self.may_load.wait()
        self.runners.setdefault(record.number, []).append(DoublingRunner())
        return self.runners[record.number][-1]


async def wait_for(reconciler: VersionReconciler, number: int, state: LoadState) -> None:
    """Wait until a version is in this state."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (("m", number), state) not in [
            ((version.model, version.number), version.state) for version in reconciler.versions()
        ]:
            reconciler.changed.clear()
            await reconciler.changed.wait()


def fail_in_a_row(served: LoadedVersion) -> None:
    """Requests that fail, one after another, until a probe is due."""
    sink = RecordingSink()
    for name in range(RUNS_BEFORE_PROBE):
        served.scheduler.enqueue([request(served, sink, name, value=-1.0)])
        sink.wait(1)


async def test_names_of_a_broken_version_lead_to_the_one_before_until_it_is_open_again() -> None:
    """The reason is told, the replica stays ready, and the version comes back by itself."""
    loader = DoublingLoader()
    reconciler = VersionReconciler(loader, StatisticsRegistry(), SYSTEM_CLOCK, max_loading=2)
    async with reconciler.running():
        reconciler.want(catalog(1, 2, stable=2, previous=1))
        await wait_for(reconciler, 1, LoadState.READY)
        await wait_for(reconciler, 2, LoadState.READY)
        loader.runners[2][0].broken = "no memory"
        loader.may_load.clear()
        fail_in_a_row(reconciler.table.find("m", ""))
        await wait_for(reconciler, 2, LoadState.LOADING)
        held, why = reconciler.table.pick("m", "")
        ready, closed = reconciler.settled(), loader.runners[2][0].closed
        reason = reconciler.table.states["m", 2][1]
        loader.may_load.set()
        await wait_for(reconciler, 2, LoadState.READY)
        back = reconciler.table.pick("m", "")

    assert (1, HELD, True, True) == (held.record.number, why, ready, closed)
    assert reason.startswith("VERSION_BROKEN: m/2 cannot run any more")
    assert reason.endswith("no memory")
    assert (2, STABLE) == (back[0].record.number, back[1])


async def test_wrong_inputs_do_not_take_a_version_down() -> None:
    """Its probe works, so it stays, however many fail."""
    loader = DoublingLoader()
    reconciler = VersionReconciler(loader, StatisticsRegistry(), SYSTEM_CLOCK, max_loading=2)
    async with reconciler.running():
        reconciler.want(catalog(1, stable=1))
        await wait_for(reconciler, 1, LoadState.READY)
        served = reconciler.table.find("m", "")
        fail_in_a_row(served)
        fail_in_a_row(served)
        assert served is reconciler.table.find("m", "")
