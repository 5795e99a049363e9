"""Versions are measured when the machine is quiet, again after noise, and serve so from then on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from headrace.errors import Unavailable
from headrace.state.catalog import Catalog
from headrace.state.records import Batching, LoadState, VersionRecord
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.reconciliation.later_measuring import (
    Attempts,
    LaterMeasuring,
    Pauses,
    next_to_measure,
)
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.scheduling.execution_plan import ExecutionPlan
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.unit.inference.doubles import DoublingRunner, RecordingSink, catalog, version
from tests.unit.inference.reconciliation.test_broken_version import wait_for
from tests.unit.inference.scheduling.pools import request

PATIENCE_SECONDS = 20.0
KEY = ("m", 1)
PAUSES = Pauses(0.0, 0.01, 0.0, 0.01, 0.01)
PROVISIONAL = ExecutionPlan(2, 1, is_provisional=True)
FOUND = ExecutionPlan(1, 1)


class PlannedRunner(DoublingRunner):
    """A doubling runner that was opened with a plan."""

    def __init__(self, plan: ExecutionPlan) -> None:
        super().__init__()
        self.plan = plan


class PlannedLoader:
    """Loads runners with the plan that there is by then."""

    def __init__(self) -> None:
        self.plan = PROVISIONAL
        self.runners: list[PlannedRunner] = []
        self.error: Unavailable | None = None

    async def load(self, record: VersionRecord) -> PlannedRunner:
        if self.error is not None:
            raise self.error
        self.runners.append(PlannedRunner(self.plan))
        return self.runners[-1]


@dataclass
class Bench:
    """A machine and a measurement, as a test says that they go."""

    loader: PlannedLoader
    noisy: int = 0
    """So many measurements are of no use."""
    busy_looks: int = 0
    serves: bool = False
    then: Unavailable | None = None
    """What loads fail with afterwards."""
    measured: list[bool] = field(default_factory=list)

    def measure(self, runner: Runner, abandoned: threading.Event) -> bool:
        if self.serves:
            assert abandoned.wait(PATIENCE_SECONDS)
            self.serves = False
        found = len(self.measured) >= self.noisy and not abandoned.is_set()
        self.measured.append(found)
        if found:
            assert isinstance(runner, PlannedRunner)
            runner.plan = replace(runner.plan, is_provisional=False)
            self.loader.plan, self.loader.error = FOUND, self.then
        return found

    def is_quiet(self) -> bool:
        self.busy_looks -= 1
        return self.busy_looks < 0

    def is_serving(self) -> bool:
        return self.serves


@asynccontextmanager
async def measuring(
    bench: Bench, wanted: Catalog | None = None
) -> AsyncIterator[VersionReconciler]:
    """A reconciler with version 1 of m, which is measured meanwhile."""
    reconciler = VersionReconciler(bench.loader, StatisticsRegistry(), SYSTEM_CLOCK, 2)
    async with reconciler.running():
        reconciler.want(wanted or catalog(1, stable=1))
        await wait_for(reconciler, 1, LoadState.READY)
        later = LaterMeasuring(reconciler, bench, bench, SYSTEM_CLOCK, PAUSES)
        job = asyncio.create_task(later.run())
        try:
            yield reconciler
        finally:
            job.cancel()
            await asyncio.wait([job])


async def served(reconciler: VersionReconciler, plan: ExecutionPlan) -> LoadedVersion:
    """The version, once it serves with this plan."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (found := reconciler.table.ready[KEY]).runner.plan != plan:
            reconciler.changed.clear()
            await reconciler.changed.wait()
    return found


@pytest.mark.parametrize(
    ("attempts", "now", "expected"),
    [
        ({}, 0.0, (("a", 1), None)),
        ({("a", 1): Attempts(1, 5.0)}, 0.0, (("b", 1), None)),
        ({("a", 1): Attempts(1, 5.0), ("b", 1): Attempts(3, 4.0)}, 0.0, (None, 4.0)),
        ({("a", 1): Attempts(1, 5.0), ("b", 1): Attempts(3, 4.0)}, 4.0, (("b", 1), None)),
    ],
)
def test_the_next_to_be_measured(
    attempts: dict[tuple[str, int], Attempts], now: float, expected: object
) -> None:
    """Whoever waits longest; one that was measured in vain waits for its pause."""
    waiting = {("a", 1): False, ("b", 1): False}
    assert expected == next_to_measure(waiting, attempts, now)
    assert (None, None) == next_to_measure({}, attempts, now)


def test_those_that_are_called_are_measured_first() -> None:
    """And others rest the cores for longer."""
    waiting = {("a", 1): False, ("b", 1): True}
    assert (("b", 1), None) == next_to_measure(waiting, {("b", 1): Attempts(2, 5.0)}, 6.0)
    assert (10.0, 90.0) == (
        Pauses().rest(10.0, is_used=True),
        Pauses().rest(10.0, is_used=False),
    )


def test_pauses_grow_up_to_a_bound() -> None:
    """So that a machine which is never quiet pays little, and none is given up."""
    pauses = Pauses()
    assert [5.0, 10.0, 20.0] == [pauses.retry(count) for count in (1, 2, 3)]
    assert [1.0, 2.0, 4.0] == [pauses.look(count) for count in (0, 1, 2)]
    assert (600.0, 30.0) == (pauses.retry(500), pauses.look(500))


async def test_what_noise_spoilt_is_measured_again() -> None:
    """Until it is found; then the version serves so, and is measured no more."""
    bench = Bench(PlannedLoader(), noisy=3, busy_looks=2)
    async with measuring(bench) as reconciler:
        found = await served(reconciler, FOUND)
        assert [False, False, False, True] == bench.measured
        assert 1 == found.effective_record.config.instances
    assert 2 == len(bench.loader.runners)


async def test_a_replica_that_serves_is_left_alone() -> None:
    """A measurement that is under way ends, and is made anew later."""
    bench = Bench(PlannedLoader(), serves=True)
    async with measuring(bench) as reconciler:
        await served(reconciler, FOUND)
    assert [False, True] == bench.measured


async def test_a_version_that_goes_is_not_measured_on() -> None:
    """Its measurement ends, and nobody is put in its place."""
    loader = PlannedLoader()
    started = threading.Event()

    class Slow(Bench):
        def measure(self, runner: Runner, abandoned: threading.Event) -> bool:
            started.set()
            return not abandoned.wait(PATIENCE_SECONDS)

    async with measuring(Slow(loader)) as reconciler:
        await asyncio.to_thread(started.wait, PATIENCE_SECONDS)
        reconciler.want(catalog())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while reconciler.versions():
                reconciler.changed.clear()
                await reconciler.changed.wait()
        assert loader.runners[0].closed
    assert 1 == len(loader.runners)


async def test_what_cannot_be_opened_anew_stays() -> None:
    """It serves as before, and what was measured holds when it is loaded next."""
    bench = Bench(PlannedLoader(), then=Unavailable("OUT_OF_MEMORY", "no memory"))
    async with measuring(bench) as reconciler:
        first = await served(reconciler, replace(PROVISIONAL, is_provisional=False))
        assert first.runner is bench.loader.runners[0]
    assert ([True], 1) == (bench.measured, len(bench.loader.runners))


async def test_an_order_that_is_promised_is_not_broken() -> None:
    """Where the old one and the new one must not answer side by side, nothing is put in its place."""
    ordered = replace(version(1), config=replace(version(1).config, batching=Batching(8)))
    batching = replace(ordered.config.batching, preserve_ordering=True)
    ordered = replace(ordered, config=replace(ordered.config, batching=batching))
    wanted = replace(catalog(1, stable=1), versions={KEY: ordered})
    bench = Bench(PlannedLoader())
    async with measuring(bench, wanted) as reconciler:
        await served(reconciler, replace(PROVISIONAL, is_provisional=False))
    assert 1 == len(bench.loader.runners)


async def test_nothing_is_lost_or_counted_twice_while_versions_are_renewed() -> None:
    """Each request is answered by one of them, whichever took it, and is counted once."""
    book, loader, sink, count = StatisticsRegistry(), PlannedLoader(), RecordingSink(), 3000
    reconciler = VersionReconciler(loader, book, SYSTEM_CLOCK, 2)
    async with reconciler.running():
        reconciler.want(catalog(1, stable=1))
        await wait_for(reconciler, 1, LoadState.READY)

        def send() -> None:
            for number in range(count):
                while True:
                    current = reconciler.table.ready[KEY]
                    try:
                        current.scheduler.enqueue([request(current, sink, number)])
                    except SchedulerStopped:
                        continue
                    break

        sending = asyncio.create_task(asyncio.to_thread(send))
        renewals = 0
        while not sending.done():
            assert await reconciler.renew(KEY, reconciler.table.ready[KEY])
            renewals += 1
            await asyncio.sleep(0)  # loading takes no time here: let the sender be heard
        await sending
        await asyncio.to_thread(sink.wait, count)
    assert renewals > 1
    assert [True] * (renewals + 1) == [runner.closed for runner in loader.runners]
    assert (set(range(count)), {}) == (set(sink.outputs), sink.errors)
    assert count == book.of(*KEY).totals().rows == sum(sum(one.batches) for one in loader.runners)


async def test_what_was_found_out_about_batches_is_kept() -> None:
    """A version whose requests must not share runs shares none after it was renewed."""
    loader = PlannedLoader()
    reconciler = VersionReconciler(loader, StatisticsRegistry(), SYSTEM_CLOCK, 2)
    async with reconciler.running():
        reconciler.want(catalog(1, stable=1))
        await wait_for(reconciler, 1, LoadState.READY)
        loader.runners[0].batching_obstacle = ""
        first = reconciler.table.ready[KEY]
        first._executor._stop_batching("rows differ")  # type: ignore[union-attr]
        assert await reconciler.renew(KEY, first)
        second = reconciler.table.ready[KEY]
        assert (True, "rows differ") == (second is not first, second.batching_off)
        assert first.opened_at == second.opened_at
