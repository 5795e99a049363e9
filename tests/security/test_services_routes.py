"""Every route of the registry's and the monitor's ports has a row in the table of permissions."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry

from headrace.security.access import Access
from headrace.security.routes import ROUTES
from headrace.security.verbs import OPEN, Scope
from headrace.service.http.app import HttpApp
from headrace.service.http.operations import add_operations_routes
from headrace.service.http.pages import About, signposted
from headrace_monitor.app.monitor import open_monitor
from headrace_monitor.settings import Settings


def _registry() -> HttpApp:
    app = signposted(About("registry", "", {}), Access())
    add_operations_routes(app, CollectorRegistry(), lambda: (True, {}))
    return app


def test_every_route_of_the_registry_has_a_row() -> None:
    """A route that is added without one is refused to everybody."""
    assert set(_registry().router.routes()) - set(ROUTES) == set()


async def test_every_route_of_the_monitor_has_a_row(tmp_path: Path) -> None:
    """Those of pages, of the console's JSON and of operations, in a monitor that runs."""
    settings = Settings(
        data=tmp_path, grpc_port=0, http_port=0, auth="on", registry_address="127.0.0.1:1"
    )
    async with open_monitor(settings, asyncio.Event()) as monitor:
        found = monitor.routes
    assert ("GET", "/api/v1/models/{model}") in found
    assert found - set(ROUTES) == set()


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
