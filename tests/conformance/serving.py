"""Two ways to serve cases: the inference service's own layers in this process, and the whole suite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from headrace import AsyncClient
from headrace.errors import HeadraceError
from headrace.state.catalog import Catalog
from headrace.state.records import LoadState, ModelRecord, ServingConfig, VersionRecord
from headrace.state.route_records import RouteRecord
from headrace_inference.adapters.preparation.cached_opener import (
    Preparation,
    PreparingOpener,
    open_preparing_opener,
)
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.app.limits import ingress_limits
from headrace_inference.app.readiness import AlwaysReady
from headrace_inference.app.servers import open_fronts
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from headrace_inference.settings import Settings
from tests.conformance.bare import CONFIG, GRAPH, Examined, Refusal
from tests.suite import RunningSuite, running_suite

LOAD_SECONDS = 60.0
AT_A_TIME = 2
Front = Literal["auto", "native", "grpcio"]
Configure = Callable[[Examined], ServingConfig]


def unbatched(examined: Examined) -> ServingConfig:
    """How every case can be served."""
    return CONFIG


class Serving(Protocol):
    """A server that cases can be put on."""

    grpc_address: str
    http_address: str

    def holding(
        self, cases: Sequence[Examined], configure: Configure = unbatched
    ) -> AbstractAsyncContextManager[Mapping[str, Refusal]]:
        """Serve these cases while inside; gives why some are not, by the case's name."""


@dataclass
class _FolderLoader:
    folder: Path
    opener: PreparingOpener

    async def load(self, record: VersionRecord) -> Runner:
        path = self.folder / record.model / GRAPH
        return await asyncio.to_thread(self.opener.open, path, record)


@dataclass
class InProcess:
    """The fronts, the reconciler and the runtime of a replica, with the catalog given by hand."""

    folder: Path
    reconciler: VersionReconciler
    grpc_address: str
    http_address: str
    _revision: int = 0

    @asynccontextmanager
    async def holding(
        self, cases: Sequence[Examined], configure: Configure = unbatched
    ) -> AsyncIterator[Mapping[str, Refusal]]:
        """Serve these cases while inside, but those that the registry's check refused."""
        refusals = {one.case.name: one.refusal for one in cases if one.refusal is not None}
        taken = [one for one in cases if one.refusal is None]
        for one in taken:
            self._path(one.case.name).parent.mkdir()
            self._path(one.case.name).write_bytes(one.case.model)
        await self._want([_record(one, configure(one)) for one in taken])
        yield refusals | {
            version.model: Refusal("NOT_LOADED", version.reason)
            for version in self.reconciler.versions()
            if version.state is not LoadState.READY
        }
        await self._want([])
        for one in taken:
            self._path(one.case.name).unlink()
            self._path(one.case.name).parent.rmdir()

    def _path(self, model: str) -> Path:
        return self.folder / model / GRAPH

    async def _want(self, records: Sequence[VersionRecord]) -> None:
        self._revision += 1
        models = {
            record.model: ModelRecord(
                record.model, created_at=0.0, last_number=1, route=RouteRecord(stable=1)
            )
            for record in records
        }
        versions = {(record.model, 1): record for record in records}
        self.reconciler.want(Catalog(self._revision, models, versions))
        async with asyncio.timeout(LOAD_SECONDS + len(records)):
            while not self.reconciler.settled() or len(self.reconciler.versions()) > len(records):
                self.reconciler.changed.clear()
                await self.reconciler.changed.wait()


def _record(examined: Examined, config: ServingConfig) -> VersionRecord:
    name = examined.case.name
    return VersionRecord(name, 1, name, (), GRAPH, examined.signature, config, 0.0)


@asynccontextmanager
async def open_in_process(folder: Path, front: Front = "auto") -> AsyncIterator[InProcess]:
    """The layers of a replica on real sockets while inside."""
    settings = Settings(
        redis_url="redis://unused", registry_address="unused", data=folder, metrics_port=0
    )
    settings = replace(settings, grpc_port=0, http_port=0, drain_seconds=1.0, front=front)
    book = StatisticsRegistry()
    preparation = Preparation(
        folder / ".prepared", settings.prepared_max_bytes, settings.tuning_seconds
    )
    async with AsyncExitStack() as stack:
        opener = stack.enter_context(open_preparing_opener(preparation, RuntimeDefaults()))
        reconciler = VersionReconciler(
            _FolderLoader(folder, opener), book, SYSTEM_CLOCK, max_loading=AT_A_TIME
        )
        await stack.enter_async_context(reconciler.running())
        fronts = await open_fronts(
            stack,
            settings,
            Ingress(reconciler, book, limits=ingress_limits(settings)),
            AlwaysReady(),
        )
        yield InProcess(folder, reconciler, fronts.grpc_address, fronts.http_address)


class WholeSuite:
    """The suite as processes: cases are pushed to its registry and served by its replica."""

    def __init__(self, suite: RunningSuite, client: AsyncClient) -> None:
        self.grpc_address = suite.inference
        self.http_address = str(suite.ready["inference"][0]["http"])
        self._client = client
        self._places = asyncio.Semaphore(AT_A_TIME)

    @asynccontextmanager
    async def holding(
        self, cases: Sequence[Examined], configure: Configure = unbatched
    ) -> AsyncIterator[Mapping[str, Refusal]]:
        """Push these cases, whatever is known of them, and delete them at the end."""
        pushes = [self._push(one, configure) for one in cases]
        outcomes = await asyncio.gather(*pushes)
        names = [one.case.name for one in cases]
        yield {name: wrong for name, wrong in zip(names, outcomes, strict=True) if wrong}
        for name, wrong in zip(names, outcomes, strict=True):
            if wrong is None:
                await self._client.delete_model(name, force=True)

    async def _push(self, examined: Examined, configure: Configure) -> Refusal | None:
        name = examined.case.name
        config = CONFIG if examined.refusal else configure(examined)
        async with self._places:
            try:
                version = await self._client.push(name, examined.case.model, config=config)
                await self._client.wait_until_ready(name, version.number)
            except HeadraceError as error:
                return Refusal(error.reason, error.message)
        return None


@asynccontextmanager
async def open_whole_suite(folder: Path, front: Front = "auto") -> AsyncIterator[WholeSuite]:
    """The suite as real processes while inside."""
    flags = ("--log-level=warning", f"--front={front}")
    async with (
        running_suite(folder, extra=flags) as suite,
        AsyncClient(registry=suite.registry, inference=suite.inference) as client,
    ):
        yield WholeSuite(suite, client)
