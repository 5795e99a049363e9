"""An ingress over versions in plain numpy, and requests that came over no wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from headrace.state.catalog import Catalog
from headrace.state.records import VersionRecord
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.ingress.incoming import Fit, RequestHeader, Wire
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.limits import IngressLimits
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.reconciliation.residency import Caps
from headrace_inference.domain.routing.request_texts import Headers
from headrace_inference.domain.scheduling.requests import RequestPlan, TensorData
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.unit.inference.doubles import DoublingRunner, header


@dataclass(eq=False)
class Asked:
    """A request of the doubling model, whose values are all the same."""

    header: RequestHeader
    value: float = 1.0
    is_slow: bool = False
    remembered: list[Fit] = field(default_factory=list)
    wire: ClassVar[Wire] = "grpc"
    id_text: ClassVar[str] = "asked"
    metadata: Headers = ()
    certificate: ClassVar[None] = None

    def known_fit(self, version: LoadedVersion) -> Fit | None:
        """What was remembered."""
        return self.remembered[-1] if self.remembered else None

    def plan(self, version: LoadedVersion) -> RequestPlan:
        """By its header."""
        return self.header.plan_on(version)

    def values(self, regions: RegionTable) -> Sequence[TensorData]:
        """As many as its first input says."""
        return [np.full(self.header.inputs[0].shape, self.value, dtype=np.float32).tobytes()]

    def remember(self, version: LoadedVersion, fit: Fit) -> None:
        """For `known_fit`."""
        self.remembered.append(fit)


def asked(name: str = "m", version: str = "", value: float = 1.0, datatype: str = "FP32") -> Asked:
    """A request of one row."""
    return Asked(RequestHeader(name, version, (header(datatype=datatype),)), value)


class Loader:
    """Opens a doubling runner for every version, and keeps them."""

    def __init__(self) -> None:
        self.runners: dict[int, DoublingRunner] = {}

    async def load(self, record: VersionRecord) -> DoublingRunner:
        """A runner."""
        return self.runners.setdefault(record.number, DoublingRunner())


@dataclass(frozen=True)
class Site:
    """An ingress, and what it is made of."""

    ingress: Ingress
    reconciler: VersionReconciler
    book: StatisticsRegistry
    loader: Loader

    async def follow(self, catalog: Catalog, *ready: int) -> None:
        """Hold this catalog; return when exactly these versions are ready."""
        self.reconciler.want(catalog)
        async with asyncio.timeout(10):
            while {key[1] for key in self.reconciler.table.ready} != set(ready):
                await self.reconciler.next_publication.wait()

    def counted(self, number: int) -> tuple[int, dict[str, int]]:
        """Successes and errors of a version of the model; number 0: of none."""
        totals = self.book.of("m", number).totals()
        return totals.successes, dict(totals.errors)


@asynccontextmanager
async def running_site(
    limits: IngressLimits | None = None, caps: Caps | None = None
) -> AsyncIterator[Site]:
    """An ingress over nothing yet, while inside."""
    book, loader = StatisticsRegistry(), Loader()
    reconciler = VersionReconciler(loader, book, SYSTEM_CLOCK, 2, caps=caps)
    async with reconciler.running():
        yield Site(Ingress(reconciler, book, limits=limits), reconciler, book, loader)
