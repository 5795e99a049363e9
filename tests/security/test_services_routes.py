"""Every route of the registry's and the monitor's ports has a row in the table of permissions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from headrace.security.access import Access
from headrace.security.routes import ROUTES
from headrace.security.verbs import OPEN, Scope
from headrace.service.http.app import HttpApp
from headrace.service.http.operations import add_operations_routes
from headrace.service.http.pages import About, signposted
from headrace.tls.peers import PlainPeer
from headrace_monitor.adapters.registry.calls import RegistryCalls
from headrace_monitor.adapters.registry.catalog_feed import CatalogFeed
from headrace_monitor.adapters.registry.histories import Histories
from headrace_monitor.adapters.registry.link import RegistryLink
from headrace_monitor.adapters.registry.writes import RegistryWrites
from headrace_monitor.adapters.system_time import SystemTime
from headrace_monitor.app.console import console
from headrace_monitor.domain.clock import start_clock
from headrace_monitor.domain.ledger.ledger import Ledger, LedgerSnapshot
from headrace_monitor.domain.ledger.windows import resolutions
from headrace_monitor.domain.queries.query_engine import QueryEngine
from headrace_monitor.settings import Settings


def _registry() -> HttpApp:
    app = signposted(About("registry", "", {}), Access())
    add_operations_routes(app, CollectorRegistry(), lambda: (True, {}))
    return app


def _monitor() -> HttpApp:
    clock = start_clock(SystemTime(), 1)
    ledger = Ledger(resolutions(1), 1 << 20, LedgerSnapshot(), clock())
    calls = RegistryCalls(PlainPeer(None), PlainPeer(None), "", is_tls=False)  # type: ignore[arg-type]  # nobody calls
    link = RegistryLink(calls, CatalogFeed(calls), Histories(calls), RegistryWrites(calls))
    settings = Settings(data=Path())
    app = console(settings, QueryEngine(ledger, clock), Access(), link, is_secure=False)
    add_operations_routes(app, CollectorRegistry(), lambda: (True, {}))
    return app


@pytest.mark.parametrize("make", [_registry, _monitor])
def test_every_route_has_a_row(make: Callable[[], HttpApp]) -> None:
    """A route that is added without one is refused to everybody."""
    assert set(make().router.routes()) - set(ROUTES) == set()


def test_only_health_and_the_way_in_are_open() -> None:
    """All else asks who calls."""
    assert {route for route, permission in ROUTES.items() if permission.scope is Scope.OPEN} == {
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/v2/health/live"),
        ("GET", "/v2/health/ready"),
        ("GET", "/health"),
        ("GET", "/ping"),
        ("GET", "/login"),
        ("POST", "/login"),
        ("POST", "/logout"),
    }
    assert ROUTES["GET", "/healthz"] == OPEN
