"""Opens what compares data with references: its book, what is asked of it, its gauges."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from headrace.service.serving import open_background
from headrace_monitor.adapters.drift_gauges import DriftGauges
from headrace_monitor.adapters.registry.link import RegistryLink
from headrace_monitor.adapters.registry.references import FetchedReferences
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.drift.drift_book import DriftBook, DriftRules
from headrace_monitor.domain.drift.learning import LearningRules
from headrace_monitor.domain.drift.questions import DriftDesk
from headrace_monitor.domain.ingestion.ingestion import Ingestion
from headrace_monitor.settings import Settings

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class DriftParts:
    """What is made before anything is open."""

    book: DriftBook
    references: FetchedReferences
    gauges: DriftGauges


def make_parts(settings: Settings) -> DriftParts:
    """The book, as the settings have it, and what it is asked by and asks."""
    learning = LearningRules(settings.drift_first_rows, settings.drift_learning_minutes)
    rules = DriftRules(
        settings.drift_margin, settings.drift_alpha, learning, settings.drift_memory_mb * _MIB
    )
    references = FetchedReferences()
    book = DriftBook(rules, references)
    return DriftParts(book, references, DriftGauges(book))


@asynccontextmanager
async def open_drift(
    parts: DriftParts, ingestion: Ingestion, clock: Clock, link: RegistryLink
) -> AsyncIterator[DriftDesk]:
    """Yield what answers questions; while inside, references are fetched."""
    async with open_background() as jobs:
        jobs.run(parts.references.run(link.calls))
        yield DriftDesk(parts.book, ingestion, clock)
