"""The console, put together: its pages, and the JSON that they read."""

from __future__ import annotations

from collections.abc import Iterable

from headrace_monitor.adapters.replicas.http_calls import ReplicaCalls
from headrace_monitor.app.books import Books
from headrace_monitor.app.parts import Parts
from headrace_monitor.app.services import Servicers
from headrace_monitor.domain.queries.query_engine import QueryEngine
from headrace_monitor.domain.queries.recent_figures import RecentFiguresCache
from headrace_monitor.settings import Settings
from headrace_monitor.wire.console import dashboard
from headrace_monitor.wire.console.api.alerts import AlertsApi
from headrace_monitor.wire.console.api.annotations import AnnotationsApi
from headrace_monitor.wire.console.api.api import Api, Part
from headrace_monitor.wire.console.api.attachments import AttachmentsApi
from headrace_monitor.wire.console.api.attention import AttentionCounts
from headrace_monitor.wire.console.api.audit import AuditApi
from headrace_monitor.wire.console.api.calls import CallPlaces, CallsApi
from headrace_monitor.wire.console.api.changes import ChangesApi
from headrace_monitor.wire.console.api.drift import DriftApi
from headrace_monitor.wire.console.api.me import MeApi
from headrace_monitor.wire.console.api.models import ModelsApi
from headrace_monitor.wire.console.api.profiles import ProfilesApi
from headrace_monitor.wire.console.api.quality import add_quality_routes
from headrace_monitor.wire.console.api.rates import RatesApi
from headrace_monitor.wire.console.api.requests import RequestsApi
from headrace_monitor.wire.console.api.series import SeriesApi
from headrace_monitor.wire.console.api.trial import TrialApi
from headrace_monitor.wire.console.console_app import ConsoleApp
from headrace_monitor.wire.sight import Sight


def make_console(
    settings: Settings,
    engine: QueryEngine,
    books: Books,
    parts: Parts,
    servicers: Servicers,
    *,
    is_secure: bool,
) -> ConsoleApp:
    """Make the application of the monitor's HTTP port."""
    access = parts.rights.access
    app = dashboard.application(engine, settings.namespace, access, is_secure=is_secure)
    api = Api(app, engine)
    for part in (
        *_catalog_parts(settings, engine, books, parts),
        *_data_parts(books, servicers, Sight(access)),
    ):
        part.add_to(api)
    add_quality_routes(app, parts.quality.desk)
    return app


def _catalog_parts(
    settings: Settings, engine: QueryEngine, books: Books, parts: Parts
) -> Iterable[Part]:
    """Models, what they do, and what callers do with them."""
    link, access = parts.link, parts.rights.access
    sight, is_tls = Sight(access), parts.link.calls.is_tls
    attention = AttentionCounts(books.alerts, books.drift.book.open_findings)
    yield MeApi(access, sight, settings.namespace)
    yield ModelsApi(
        link.catalog, link.histories, RecentFiguresCache(engine, settings.prices), sight, attention
    )
    yield RatesApi(engine, sight)
    yield SeriesApi(engine, link.histories, sight)
    yield AuditApi(link.histories)
    yield CallsApi(link.catalog, CallPlaces(settings.public_address, is_tls, access.is_on))
    yield ChangesApi(link.writes)
    yield AnnotationsApi(link.catalog, link.annotations)
    yield AttachmentsApi(link.annotations)
    yield TrialApi(link.catalog, ReplicaCalls(settings, is_tls=is_tls))


def _data_parts(books: Books, servicers: Servicers, sight: Sight) -> Iterable[Part]:
    """What servicers answer, as JSON."""
    yield AlertsApi(servicers.alerts, sight)
    yield DriftApi(servicers.drift)
    yield RequestsApi(books.requests)
    yield ProfilesApi(servicers.profiles)
