"""Opens what knows how good answers were: its book, its figures, its gauges."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from headrace.service.serving import open_background
from headrace_monitor.adapters.quality_gauges import QualityGauges
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.ingestion.ingestion import Ingestion
from headrace_monitor.domain.quality.latest import LatestQuality
from headrace_monitor.domain.quality.quality_book import QualityBook
from headrace_monitor.domain.quality.quality_desk import QualityDesk
from headrace_monitor.settings import Settings


def make_book(settings: Settings) -> QualityBook:
    """The book, as the settings bound it."""
    return QualityBook(settings.kept_predictions, settings.kept_labels_days)


class QualityParts(NamedTuple):
    """What others need of it."""

    desk: QualityDesk
    latest: LatestQuality


@asynccontextmanager
async def open_quality(
    book: QualityBook,
    ingestion: Ingestion,
    clock: Clock,
    questions: Executor,
    metrics: CollectorRegistry,
) -> AsyncIterator[QualityParts]:
    """Yield its parts; while inside, the figures of the last day are kept fresh."""
    desk = QualityDesk(book, ingestion, clock, questions)
    latest = LatestQuality(desk, clock)
    metrics.register(QualityGauges(latest))
    async with open_background() as jobs:
        jobs.run(latest.run())
        yield QualityParts(desk, latest)
