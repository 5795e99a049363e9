"""A real Chromium, told what to do over its DevTools protocol."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@asynccontextmanager
async def open_pages(app: web.Application) -> AsyncIterator[int]:
    """Serve pages on loopback while inside; the port."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


class Tab:
    """A page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)

    async def _do(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = json.loads((await self._socket.receive()).data)
            if message.get("id") == number:
                result: dict[str, Any] = message.get("result", {})
                return result

    async def go(self, url: str) -> None:
        """Open a page."""
        await self._do("Page.navigate", url=url)

    async def value(self, expression: str) -> Any:
        """What an expression of the page's script gives; None where there is no page right now."""
        found = await self._do("Runtime.evaluate", expression=expression, returnByValue=True)
        return found.get("result", {}).get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression of the page's script is true."""
        for _ in range(400):
            if await self.value(expression):
                return
            await asyncio.sleep(0.05)
        seen = await self.value("location.href + document.body.innerText")
        raise AssertionError(f"never: {expression}; the page is {seen}")


@asynccontextmanager
async def open_tab(profile: Path) -> AsyncIterator[Tab]:
    """A browser with one page while inside."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"),
        *("--remote-debugging-port=0", "about:blank"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            async with http.get("/json/list") as response:
                pages = [each for each in await response.json() if each["type"] == "page"]
            async with http.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        process.kill()
        await process.wait()


async def _port(file: Path) -> int:
    for _ in range(400):
        if port := _port_in(file):
            return port
        await asyncio.sleep(0.05)
    raise AssertionError("the browser did not start")


def _port_in(file: Path) -> int:
    lines = file.read_text().splitlines() if file.exists() else []
    return int(lines[0]) if lines else 0
