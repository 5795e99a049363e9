"""A page in a real browser calls a model over gRPC-Web, through the gateway."""

from __future__ import annotations

import asyncio
import html
import json
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from aiohttp import web

from tests.e2e.browsers import CHROMIUM, open_pages
from tests.gateway.envoy import needs_envoy
from tests.gateway.fixtures import MODEL, Served, served

PAGES = Path(__file__).parents[2] / "examples" / "web"
INPUTS = {"x": {"datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}}
ANSWER = re.compile(r'<pre id="answer"[^>]*>(.*?)</pre>', re.DOTALL)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.toolchain,
    needs_envoy,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


@asynccontextmanager
async def pages() -> AsyncIterator[str]:
    """Serve the example's page while inside; its origin."""
    app = web.Application()
    app.router.add_static("/", PAGES)
    async with open_pages(app) as port:
        yield f"http://127.0.0.1:{port}"


async def shown(origin: str, edge: Served, profile: Path, model: str = MODEL) -> str:
    """What the page shows once it has called."""
    query = urlencode({"gateway": edge.url, "model": model, "inputs": json.dumps(INPUTS)})
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"),
        *("--virtual-time-budget=20000", "--dump-dom", f"{origin}/index.html?{query}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    dom, _ = await asyncio.wait_for(process.communicate(), 60)
    found = ANSWER.search(dom.decode())
    return html.unescape(found[1]) if found else dom.decode()


async def test_a_page_of_a_listed_origin_calls_a_model(redis_url: str, tmp_path: Path) -> None:
    """It shows the outputs; of a model that is not there, the status and its message."""
    async with pages() as origin, served(redis_url, tmp_path, cors_origins=(origin,)) as edge:
        outputs = json.loads(await shown(origin, edge, tmp_path / "one"))
        missing = await shown(origin, edge, tmp_path / "two", model="missing")
    assert {"y": {"datatype": "FP32", "shape": [1, 4], "data": [2, 3, 4, 5]}} == outputs
    assert ("5", True) == (missing.partition(" ")[0], "missing" in missing)


async def test_a_page_of_another_origin_is_kept_away_by_its_browser(
    redis_url: str, tmp_path: Path
) -> None:
    """The gateway does not let it read anything."""
    listed = ("https://other.example",)
    async with pages() as origin, served(redis_url, tmp_path, cors_origins=listed) as edge:
        assert "Failed to fetch" in await shown(origin, edge, tmp_path / "one")
