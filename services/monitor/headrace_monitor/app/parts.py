"""Opens what works in the background: ingestion, the links to the registry, drift, quality and alerts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from headrace_monitor.adapters.registry.link import RegistryLink, open_registry_link
from headrace_monitor.adapters.rights import FollowedRights, open_rights
from headrace_monitor.app import alerts, drift, quality
from headrace_monitor.app.books import Books
from headrace_monitor.app.ledger import LedgerParts
from headrace_monitor.app.quality import QualityParts
from headrace_monitor.domain.drift.questions import DriftDesk
from headrace_monitor.domain.ingestion.ingestion import Ingestion, open_ingestion
from headrace_monitor.settings import Settings
from headrace_monitor.wire.grpc.alert_servicer import AlertParts


@dataclass(frozen=True, slots=True)
class Parts:
    """All that servicers and pages call."""

    ingestion: Ingestion
    rights: FollowedRights
    link: RegistryLink
    drift: DriftDesk
    quality: QualityParts
    alerts: AlertParts


@asynccontextmanager
async def open_parts(
    settings: Settings, counted: LedgerParts, books: Books, metrics: CollectorRegistry
) -> AsyncIterator[Parts]:
    """Yield the parts, which work while inside; their figures are in `metrics`."""
    clock, query_engine = counted.clock, counted.query_engine
    async with (
        open_ingestion(
            counted.ledger, counted.store, clock, settings.limits, counted.reports, books.in_order()
        ) as ingestion,
        open_rights(settings, metrics) as rights,
        open_registry_link(settings, metrics) as link,
        drift.open_drift(books.drift, ingestion, clock, link) as drift_desk,
        quality.open_quality(
            books.quality, ingestion, clock, counted.questions, metrics
        ) as quality_parts,
    ):
        sources = alerts.sources_of(
            query_engine,
            counted.ledger,
            clock,
            link.catalog,
            books.drift.book,
            quality_parts.latest,
        )
        async with alerts.open_alerts(
            settings, books.alerts, sources, ingestion, query_engine, clock, metrics
        ) as alert_parts:
            yield Parts(ingestion, rights, link, drift_desk, quality_parts, alert_parts)
