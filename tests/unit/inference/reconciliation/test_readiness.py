"""A replica is ready when it holds what is wanted, and not while it has yet to be told of that."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from headrace.state.catalog import UNREAD, Catalog
from headrace.state.records import ReplicaStage, VersionRecord
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.app.readiness import ReplicaReadiness
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.unit.inference.doubles import DoublingRunner, catalog


class Followed:
    """What was read of the state, which a test says."""

    def __init__(self) -> None:
        self.catalog: Catalog = UNREAD

    @property
    def synced(self) -> bool:
        return self.catalog.known

    def facts(self) -> dict[str, object]:
        return {}


class Loader:
    """Loads when it is let."""

    def __init__(self) -> None:
        self.may_load = asyncio.Event()

    async def load(self, record: VersionRecord) -> DoublingRunner:
        await self.may_load.wait()
        return DoublingRunner()


async def test_a_state_that_was_read_makes_no_replica_ready_before_its_versions_are_here() -> None:
    followed, loader = Followed(), Loader()
    reconciler = VersionReconciler(loader, StatisticsRegistry(), SYSTEM_CLOCK, 1)
    readiness = ReplicaReadiness(followed, reconciler, asyncio.Event())
    async with reconciler.running():
        seen = [readiness.stage]
        followed.catalog = catalog(1, stable=1)  # read, and the reconciler is told a moment later
        seen.append(readiness.stage)
        reconciler.want(followed.catalog)
        seen.append(readiness.stage)
        loader.may_load.set()
        await reconciler.wait_until_settled("m")
        seen.append(readiness.stage)
    assert seen == [ReplicaStage.JOINING] * 3 + [ReplicaStage.READY]


async def test_whoever_waits_hears_of_an_empty_state() -> None:
    """With nothing to load, to be told is what makes it ready, and all who watch are told of that."""
    followed = Followed()
    reconciler = VersionReconciler(Loader(), StatisticsRegistry(), SYSTEM_CLOCK, 1)
    readiness = ReplicaReadiness(followed, reconciler, asyncio.Event())
    async with reconciler.running(), aclosing(readiness.stages()) as stages, asyncio.timeout(10):
        seen = [await anext(stages)]
        followed.catalog = Catalog()
        asyncio.get_running_loop().call_soon(reconciler.want, followed.catalog)
        seen.append(await anext(stages))
    assert seen == [ReplicaStage.JOINING, ReplicaStage.READY]
