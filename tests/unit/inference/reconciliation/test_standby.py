"""A reconciler with caps: how much is loaded by its measured memory, and what comes and goes together."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from headrace.errors import Unavailable
from headrace.state.catalog import Catalog
from headrace.state.records import LoadState, ModelRecord, VersionRecord
from headrace.state.route_records import Canary, RouteRecord
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.reconciliation.load_failures import FIRST_RETRY_SECONDS
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.reconciliation.residency import Caps
from headrace_inference.domain.routing.table import OnStandby
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.unit.inference.doubles import DoublingRunner, FakeClock, RecordingSink, version
from tests.unit.inference.scheduling.pools import request


class Loader:
    """Loads runners that took so many bytes, and remembers in which order."""

    def __init__(self, memory_bytes: int = 0) -> None:
        self.memory_bytes = memory_bytes
        self.loaded: list[str] = []

    async def load(self, record: VersionRecord) -> DoublingRunner:
        self.loaded.append(record.key)
        runner = DoublingRunner()
        runner.memory_bytes = self.memory_bytes
        return runner


def catalog_of(*names: str, route: RouteRecord | None = None, numbers: int = 1) -> Catalog:
    """Models whose route is this, or leads to version 1."""
    models = {name: ModelRecord(name, 0.0, route=route or RouteRecord(1)) for name in names}
    versions = {
        (name, number): version(number, name) for name in names for number in range(1, numbers + 1)
    }
    return Catalog(1, models, versions)


async def settled(reconciler: VersionReconciler, *ready: tuple[str, int]) -> None:
    """Return when exactly these are ready."""
    async with asyncio.timeout(20):
        while set(reconciler.table.ready) != set(ready):
            await reconciler.next_publication.wait()


def stands_by(reconciler: VersionReconciler, name: str, number: str = "") -> bool:
    """Whether a request for these names would have a version loaded."""
    try:
        reconciler.table.target(name, number)
    except OnStandby:
        return True
    return False


async def ask(reconciler: VersionReconciler, name: str, number: int = 1) -> None:
    """Have a version loaded, as a request does."""
    await reconciler.standby.wait_until_loaded((name, number), 2**62, None)


async def test_memory_is_bounded_by_what_was_measured() -> None:
    """Before that nobody knows it: what turns out to be too much goes."""
    loader = Loader(memory_bytes=10)
    reconciler = VersionReconciler(
        loader, StatisticsRegistry(), SYSTEM_CLOCK, 2, caps=Caps(max_bytes=25)
    )
    async with reconciler.running():
        reconciler.want(catalog_of("a", "b", "c"))
        async with asyncio.timeout(20):
            while len(loader.loaded) < 3 or len(reconciler.table.ready) != 2:
                await reconciler.next_publication.wait()
        (gone,) = {"a", "b", "c"} - {name for name, _ in reconciler.table.ready}
        assert stands_by(reconciler, gone)
        await ask(reconciler, gone)
        assert (gone, 1) in reconciler.table.ready
        assert len(reconciler.table.ready) <= 2


async def test_a_route_comes_and_goes_as_one() -> None:
    """Its canary and the version that was stable before are loaded beside it, and unloaded with it."""
    route = RouteRecord(3, Canary(2, 50.0), previous=1)
    reconciler = VersionReconciler(
        Loader(), StatisticsRegistry(), SYSTEM_CLOCK, 2, caps=Caps(max_versions=3)
    )
    async with reconciler.running():
        reconciler.want(catalog_of("a", "b", route=route, numbers=3))
        for name in ("b", "a", "b"):
            if stands_by(reconciler, name):
                await ask(reconciler, name, 3)
            await settled(reconciler, *((name, number) for number in (1, 2, 3)))
        assert {"stable", "canary"} == {reconciler.table.pick("b", "")[1] for _ in range(4)}
        assert stands_by(reconciler, "a")


async def test_what_stands_by_is_not_answered_for_by_its_predecessor() -> None:
    """A name leads to the version that it names, also while only the one before is loaded."""
    reconciler = VersionReconciler(
        Loader(), StatisticsRegistry(), SYSTEM_CLOCK, 2, caps=Caps(idle_seconds=3600.0)
    )
    route = RouteRecord(2, previous=1)
    async with reconciler.running():
        reconciler.want(catalog_of("a", route=route, numbers=2))
        await settled(reconciler, ("a", 1), ("a", 2))
        reconciler.standby._residency.drop(("a", 2))
        reconciler._leave(("a", 2))
        reconciler._wake.set()
        await settled(reconciler, ("a", 1))
        assert stands_by(reconciler, "a")
        await ask(reconciler, "a", 2)
        assert (2, "stable") == (
            reconciler.table.pick("a", "")[0].record.number,
            reconciler.table.pick("a", "")[1],
        )


async def test_a_new_stable_version_is_held_until_it_is_loaded() -> None:
    """As without caps: no request waits for a load that a route brings about."""
    reconciler = VersionReconciler(
        Loader(), StatisticsRegistry(), SYSTEM_CLOCK, 2, caps=Caps(max_versions=1)
    )
    async with reconciler.running():
        first = catalog_of("a", numbers=2)
        reconciler.want(first)
        await settled(reconciler, ("a", 1))
        moved = replace(first.models["a"], route=RouteRecord(2, previous=1))
        reconciler.want(first.updated(2, {"a": moved}, {}))
        assert "held" == reconciler.table.pick("a", "")[1]
        await settled(reconciler, ("a", 1), ("a", 2))
        assert "stable" == reconciler.table.pick("a", "")[1]


async def test_what_idles_for_so_long_is_unloaded() -> None:
    """Counted from its last answer; until then it is not."""
    clock, sink, state = FakeClock(), RecordingSink(), catalog_of("a", "b")
    reconciler = VersionReconciler(
        Loader(), StatisticsRegistry(), clock, 2, caps=Caps(idle_seconds=3600.0)
    )
    async with reconciler.running():
        reconciler.want(state)
        await settled(reconciler, ("a", 1), ("b", 1))
        clock.advance(3500)
        answering = reconciler.table.find("b", "")
        answering.scheduler.enqueue([request(answering, sink, "b")])
        sink.wait(1)
        reconciler.want(state)
        assert {("a", 1), ("b", 1)} == set(reconciler.table.ready)
        clock.advance(200)
        reconciler.want(state)
        await settled(reconciler, ("b", 1))
        assert stands_by(reconciler, "a")


async def test_a_failed_load_is_tried_again_when_its_time_has_come() -> None:
    """Not before, whatever else happens."""

    class Failing(Loader):
        async def load(self, record: VersionRecord) -> DoublingRunner:
            runner = await super().load(record)
            if len(self.loaded) < 2:
                raise Unavailable("LOAD_ERROR", "not yet")
            return runner

    clock, loader, state = FakeClock(), Failing(), catalog_of("a")
    reconciler = VersionReconciler(loader, StatisticsRegistry(), clock, 2)
    async with reconciler.running():
        reconciler.want(state)
        while [LoadState.UNAVAILABLE] != [each.state for each in reconciler.versions()]:
            await reconciler.next_publication.wait()
        clock.advance(0.9 * FIRST_RETRY_SECONDS)
        reconciler.want(state)
        for _ in range(10):  # its turns on the loop, in which it does nothing
            await asyncio.sleep(0)
        assert ["a/1"] == loader.loaded
        clock.advance(0.2 * FIRST_RETRY_SECONDS)
        reconciler.want(state)
        await settled(reconciler, ("a", 1))
