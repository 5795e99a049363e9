"""A real browser logs in at the monitor's console, sees its models, and is out when its key is revoked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.e2e.browsers import CHROMIUM, Tab, open_pages, open_tab
from tests.e2e.models import scaling
from tests.security.watched_monitors import watched

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.toolchain,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]

ROWS = "[...document.querySelectorAll('main th[scope=row] a')].map(link => link.textContent)"


async def log_in(tab: Tab, key: str) -> None:
    """Fill in the form, and send it."""
    await tab.until("document.querySelector('#key') !== null")
    await tab.value(f"document.querySelector('#key').value = {json.dumps(key)}")
    await tab.value("document.querySelector('button').click()")


@asynccontextmanager
async def page_of_others(target: str, key: str) -> AsyncIterator[str]:
    """A page of another origin that logs its visitor in here as somebody else; its URL."""

    async def show(_: web.Request) -> web.Response:
        form = f"<form method=post action='{target}/login'><input name=key value='{key}'></form>"
        text = f"<!doctype html>{form}<script>document.forms[0].submit()</script>"
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", show)
    async with open_pages(app) as port:
        yield f"http://localhost:{port}/"


async def test_a_browser_at_the_console(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """The page shows the models that the key may read; no script reads the cookie; out is out."""
    async with (
        watched(redis_url, namespace, tmp_path) as scene,
        open_tab(tmp_path / "profile") as tab,
    ):
        team = await scene.known(await scene.registry.key("team", ("viewer", "team-*")))
        for model in ("team-a", "other"):
            await scene.registry.push(scene.registry.admin, model, scaling(1.0))
        home = str(scene.monitor.http._base_url)
        await tab.go(home)
        await log_in(tab, "hr_wrong")
        await tab.until("document.querySelector('.wrong').textContent.includes('API key')")
        await log_in(tab, team)
        await tab.until(f"location.pathname === '/' && {ROWS}.length > 0")
        assert await tab.value(ROWS) == ["team-a"]
        assert await tab.value("document.cookie") == ""
        await tab.go(f"{home}#/models/team-a/route")
        await tab.until("document.body.innerText.includes('moving it takes the permission')")
        await tab.value("document.querySelector('form[action=\"/logout\"] button').click()")
        await tab.until("location.pathname === '/login'")
        await tab.go(home)
        await log_in(tab, team)
        await tab.until(f"location.pathname === '/' && {ROWS}.length > 0")
        await scene.registry.revoke(team)
        await tab.until("location.pathname === '/login'")


async def test_a_page_of_others_logs_nobody_in(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Its form is refused: its visitor goes on as who he is here."""
    async with watched(redis_url, namespace, tmp_path) as scene:
        home = str(scene.monitor.http._base_url).rstrip("/")
        async with (
            page_of_others(home, scene.service) as other,
            open_tab(tmp_path / "profile") as tab,
        ):
            await tab.go(other)
            await tab.until("document.body.innerText.includes('Log in on this page.')")
            await tab.go(home)
            await tab.until("location.pathname === '/login'")
