"""Alerts, put together: the book, what rules look at, the evaluation, and what tells receivers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from headrace import errors
from headrace.alert_rules.rules_file import MAX_FILE_BYTES, read_rules
from headrace.security.regular_files import read_regular_file
from headrace.service.serving import open_background
from headrace_monitor.adapters.alert_gauges import AlertGauges
from headrace_monitor.adapters.notify.delivery import open_delivery
from headrace_monitor.adapters.notify.senders import Senders
from headrace_monitor.domain.alerts.alert_book import AlertBook, RulesInForce
from headrace_monitor.domain.alerts.alert_desk import AlertDesk
from headrace_monitor.domain.alerts.evaluator import Evaluator
from headrace_monitor.domain.alerts.figures import OpenFindings, Sources
from headrace_monitor.domain.alerts.known_figures import (
    CatalogStates,
    LedgerFigures,
    SessionGaps,
)
from headrace_monitor.domain.alerts.known_quality import QualityOfLastDay
from headrace_monitor.domain.alerts.known_slowness import KnownSlowness
from headrace_monitor.domain.alerts.objectives import Objectives
from headrace_monitor.domain.catalog.catalog import Catalog
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.ingestion.ingestion import Ingestion
from headrace_monitor.domain.ledger.ledger import Ledger
from headrace_monitor.domain.quality.latest import LatestQuality
from headrace_monitor.domain.queries.query_engine import QueryEngine
from headrace_monitor.settings import Settings
from headrace_monitor.wire.grpc.alert_servicer import AlertParts

FIRST_PAUSE_SECONDS = 1.0
"""What a receiver did not take is sent again after this, then after twice as long, up to 5 minutes."""


def make_book(settings: Settings) -> AlertBook:
    """Make the book of alerts. Raises FailedPrecondition where the file of rules cannot be used."""
    if settings.alert_rules is None:
        return AlertBook()
    try:
        data = read_regular_file(settings.alert_rules, MAX_FILE_BYTES)
        source = data.decode()
        return AlertBook(RulesInForce(read_rules(source), source))
    except (OSError, UnicodeDecodeError, errors.InvalidArgument) as error:
        raise errors.FailedPrecondition(
            "ALERT_RULES_UNUSABLE", f"--alert-rules {settings.alert_rules}: {error}"
        ) from error


def sources_of(
    query_engine: QueryEngine,
    ledger: Ledger,
    clock: Clock,
    catalog: Catalog,
    drift: OpenFindings,
    quality: LatestQuality,
) -> Sources:
    """All that rules look at."""
    kept_seconds = ledger.windows.resolutions[-1].kept_seconds
    return Sources(
        LedgerFigures(query_engine, kept_seconds),
        SessionGaps(ledger, clock),
        drift=drift,
        quality=QualityOfLastDay(quality),
        versions=CatalogStates(catalog),
        paces=KnownSlowness(query_engine, clock),
    )


@asynccontextmanager
async def open_alerts(
    settings: Settings,
    book: AlertBook,
    sources: Sources,
    ingestion: Ingestion,
    questions: QueryEngine,
    clock: Clock,
    metrics: CollectorRegistry,
) -> AsyncIterator[AlertParts]:
    """What evaluates the rules and tells receivers while inside."""
    senders = Senders(settings.alert_secrets, settings.console_url)
    pause = min(FIRST_PAUSE_SECONDS, settings.alert_seconds)
    async with (
        open_delivery(book, ingestion, senders, clock, pause) as delivery,
        open_background() as jobs,
    ):
        evaluator = Evaluator(
            book, sources, ingestion, questions, clock, settings.alert_seconds, delivery.wake
        )
        metrics.register(AlertGauges(book, evaluator))
        jobs.run(evaluator.run())
        desk = AlertDesk(book, ingestion, delivery, clock)
        objectives = Objectives(book, sources.service, clock)
        path = str(settings.alert_rules) if settings.alert_rules else ""
        yield AlertParts(desk, evaluator, objectives, questions, path)
