"""All that the monitor has of the registry, opened together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge

from headrace.service.serving import open_background
from headrace_monitor.adapters.registry.annotations import RegistryAnnotations
from headrace_monitor.adapters.registry.calls import RegistryCalls, open_registry_calls
from headrace_monitor.adapters.registry.catalog_feed import CatalogFeed
from headrace_monitor.adapters.registry.histories import Histories
from headrace_monitor.adapters.registry.writes import RegistryWrites
from headrace_monitor.settings import Settings


@dataclass(frozen=True, slots=True)
class RegistryLink:
    """The registry: calls of it, its catalog followed, histories of models, what callers change and ask."""

    calls: RegistryCalls
    catalog: CatalogFeed
    histories: Histories
    writes: RegistryWrites
    annotations: RegistryAnnotations


@asynccontextmanager
async def open_registry_link(
    settings: Settings, metrics: CollectorRegistry | None = None
) -> AsyncIterator[RegistryLink]:
    """The registry, followed while inside; it may be away, also at first.

    Raises FailedPrecondition where the files of TLS or the token cannot be used.
    """
    async with open_registry_calls(settings) as calls, open_background() as jobs:
        catalog, histories = CatalogFeed(calls), Histories(calls)
        catalog.on_change = histories.forget
        if metrics is not None:
            Gauge(
                "headrace_monitor_catalog_followed",
                "1 while the registry tells of changes of models, routes and replicas.",
                registry=metrics,
            ).set_function(lambda: catalog.freshness().is_connected)
        jobs.run(catalog.run())
        yield RegistryLink(
            calls, catalog, histories, RegistryWrites(calls), RegistryAnnotations(calls)
        )
