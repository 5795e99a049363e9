"""The console, put together: its pages, and the JSON that they read."""

from __future__ import annotations

from headrace.security.access import Access
from headrace_monitor.adapters.registry.link import RegistryLink
from headrace_monitor.adapters.replicas.http_calls import ReplicaCalls
from headrace_monitor.domain.queries.query_engine import QueryEngine
from headrace_monitor.domain.queries.recent_figures import RecentFiguresCache
from headrace_monitor.settings import Settings
from headrace_monitor.wire.console import dashboard
from headrace_monitor.wire.console.api.api import Api, Part
from headrace_monitor.wire.console.api.audit import AuditApi
from headrace_monitor.wire.console.api.calls import CallPlaces, CallsApi
from headrace_monitor.wire.console.api.changes import ChangesApi
from headrace_monitor.wire.console.api.me import MeApi
from headrace_monitor.wire.console.api.models import Attention, ModelsApi, nothing_to_say
from headrace_monitor.wire.console.api.rates import RatesApi
from headrace_monitor.wire.console.api.series import SeriesApi
from headrace_monitor.wire.console.api.trial import TrialApi
from headrace_monitor.wire.console.console_app import ConsoleApp
from headrace_monitor.wire.sight import Sight


def console(
    settings: Settings,
    engine: QueryEngine,
    access: Access,
    link: RegistryLink,
    *more: Part,
    attention: Attention = nothing_to_say,
    is_secure: bool,
) -> ConsoleApp:
    """The application of the monitor's HTTP port; `more` are parts that others answer."""
    app = dashboard.application(engine, settings.namespace, access, is_secure=is_secure)
    api, sight = Api(app, engine), Sight(access)
    recent = RecentFiguresCache(engine)
    parts: tuple[Part, ...] = (
        MeApi(access, sight, settings.namespace),
        ModelsApi(link.catalog, link.histories, recent, sight, attention),
        RatesApi(engine, sight),
        SeriesApi(engine, link.histories, sight),
        AuditApi(link.histories),
        CallsApi(
            link.catalog, CallPlaces(settings.public_address, link.calls.is_tls, access.is_on)
        ),
        ChangesApi(link.writes),
        TrialApi(link.catalog, ReplicaCalls(settings, is_tls=link.calls.is_tls)),
        *more,
    )
    for part in parts:
        part.add_to(api)
    return app
