"""Assembles where a replica's versions come from, and who decides which they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from headrace.artifacts.signature_policy import PolicyFile
from headrace.machine.memory import usable_memory_bytes
from headrace.service.disk_reserve import DiskReserve
from headrace.state.catalog import Catalog
from headrace.state.desired import desired
from headrace.state.records import VersionRecord
from headrace_inference.adapters.artifact_cache.file_checks import FileChecks
from headrace_inference.adapters.artifact_cache.leases import open_cache_leases
from headrace_inference.adapters.artifact_cache.scrubber import CacheScrubber
from headrace_inference.adapters.artifact_cache.sources import ArtifactSource
from headrace_inference.adapters.artifact_cache.store import ArtifactCache
from headrace_inference.adapters.loader import ArtifactLoader
from headrace_inference.adapters.local_models import FolderLoader, open_local_models
from headrace_inference.adapters.model_folder.staging import StagedModels, open_staged_models
from headrace_inference.adapters.preparation.cached_opener import (
    Preparation,
    PreparingOpener,
    open_preparing_opener,
)
from headrace_inference.adapters.runtime import execution_providers
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.load_limit import LoadBounds
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.adapters.trust import trust_check
from headrace_inference.domain.payloads.taking import PayloadTaker
from headrace_inference.domain.reconciliation.later_measuring import Measurer
from headrace_inference.domain.reconciliation.load_slots import LoadPlaces
from headrace_inference.domain.reconciliation.model_control import (
    ExplicitControl,
    FolderControl,
    ModelControl,
    RegistryControl,
)
from headrace_inference.domain.reconciliation.reconciler import Loader, VersionReconciler
from headrace_inference.domain.reconciliation.residency import Caps
from headrace_inference.domain.sampling.sampler import Sampler
from headrace_inference.domain.schemas.doors import SchemaDoors
from headrace_inference.domain.versions.identity import record_in
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from headrace_inference.settings import Settings

_SLOW_SHARE = 4
"""Of the machine's memory, so much at most is for versions that take long to prepare."""


_RESERVE_PART = 0.5
"""Of what the registry keeps free: what it took must find room in a cache beside it."""


@dataclass(frozen=True, slots=True)
class Models:
    """The versions of a replica, what callers may do to them, and where the registry's word goes."""

    reconciler: VersionReconciler
    control: ModelControl
    want: Callable[[Catalog], None]
    staged: StagedModels | None = None
    """The copies of a folder's models, where they come from one."""


@dataclass(frozen=True, slots=True)
class Loads:
    """The loader of versions, and how many load at a time."""

    loader: FolderLoader
    places: LoadPlaces
    checks: FileChecks = field(default_factory=FileChecks)
    scrubber: CacheScrubber | None = None
    measurer: Measurer | None = None


class HasCatalog(Protocol):
    """Knows which versions of the registry are wanted."""

    @property
    def catalog(self) -> Catalog:
        """Return the newest catalog."""


@asynccontextmanager
async def open_models(
    settings: Settings,
    loads: Loads,
    book: StatisticsRegistry,
    sampler: Sampler | None = None,
    doors: SchemaDoors | None = None,
    payloads: PayloadTaker | None = None,
) -> AsyncIterator[Models]:
    """Keep the versions while inside, those of callers too where the setting allows them."""
    loader = loads.loader
    if settings.model_folder is not None:
        async with open_staged_models(settings.data, loader) as staged:
            reconciler = _reconciler(settings, staged, loads, book, sampler, doors, payloads)
            async with reconciler.running():
                yield Models(reconciler, FolderControl(), reconciler.want, staged)
        return
    if settings.model_control == "registry":
        reconciler = _reconciler(settings, loader, loads, book, sampler, doors, payloads)
        async with reconciler.running():
            yield Models(reconciler, RegistryControl(), reconciler.want)
        return
    async with open_local_models(settings.data, loader) as local:
        reconciler = _reconciler(settings, local, loads, book, sampler, doors, payloads)
        control = ExplicitControl(reconciler, local, local)
        async with reconciler.running():
            yield Models(reconciler, control, control.want)


def _reconciler(
    settings: Settings,
    loader: Loader,
    loads: Loads,
    book: StatisticsRegistry,
    sampler: Sampler | None,
    doors: SchemaDoors | None,
    payloads: PayloadTaker | None,
) -> VersionReconciler:
    return VersionReconciler(
        loader,
        book,
        SYSTEM_CLOCK,
        loads.places,
        settings.max_run_seconds,
        Caps(settings.max_loaded_versions, settings.max_loaded_bytes, settings.unload_idle_seconds),
        settings.load_wait_seconds,
        sampler,
        doors,
        payloads,
    )


@contextmanager
def open_loads(
    settings: Settings,
    source: ArtifactSource,
    wanting: HasCatalog,
    policy: PolicyFile | None = None,
) -> Iterator[Loads]:
    """Yield what loads the versions that the policy trusts while inside, the registry's from the source."""

    def wanted() -> set[str]:
        catalog = wanting.catalog
        records = [record_in(catalog, key) for key in desired(catalog)]
        return {record.digest for record in records if record is not None}

    checks = FileChecks()
    with open_cache_leases(settings.data / "in-use") as leases:
        reserve = DiskReserve(settings.data, settings.disk_reserve_bytes, part=_RESERVE_PART)
        cache = ArtifactCache(
            settings.data / "artifacts",
            source,
            settings.cache_max_bytes,
            leases,
            checks,
            reserve,
        )
        preparation = Preparation(
            settings.data / "prepared",
            settings.prepared_max_bytes,
            settings.tuning_seconds,
            leases,
            checks,
            reserve,
        )
        opening = open_preparing_opener(preparation, _runtime_defaults(settings))
        with closing(cache), opening as opener:
            loader = ArtifactLoader(
                cache, opener.open_any, leases, checks, wanted, opener.expect, trust_check(policy)
            )
            rate = settings.scrub_bytes_per_second
            scrubber = CacheScrubber(cache, loader, opener, checks, rate)
            places = _places(settings, loader, opener)
            yield Loads(loader, places, checks, scrubber, opener.measurement)


def _places(settings: Settings, loader: ArtifactLoader, opener: PreparingOpener) -> LoadPlaces:
    most_bytes = settings.slow_load_bytes or usable_memory_bytes() // _SLOW_SHARE

    def is_quick(record: VersionRecord) -> bool:
        return loader.is_fetched(record) and opener.is_prepared(record)

    return LoadPlaces(
        settings.max_loading,
        settings.planned_cores,
        is_quick,
        lambda: opener.preparing_bytes() < most_bytes,
        settings.slow_load_seconds,
    )


def _runtime_defaults(settings: Settings) -> RuntimeDefaults:
    return RuntimeDefaults(
        cores=settings.planned_cores,
        gives_way=True,
        spinning=settings.spinning,
        load_bounds=LoadBounds(settings.load_timeout_seconds, settings.max_load_memory_bytes),
        devices=execution_providers.DeviceOptions(
            gpu_memory_limit_bytes=settings.gpu_memory_limit_bytes,
            engine_cache=settings.data / "engines",
        ),
        custom_operators=settings.custom_operators,
    )
