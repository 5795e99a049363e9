"""The first page of every HTTP port: it says what it is and links on, to browsers and to programs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headrace.datatypes import Datatype
from tests.rpc.grpc_fixtures import open_grpc_replica
from tests.rpc.monitors import running_monitor
from tests.rpc.registry_fixtures import running_registry
from tests.rpc.rest_fixtures import echo

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
"""What a gRPC client sends first."""


class Page(HTMLParser):
    """What a page links to, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [str(value) for name, value in attrs if (tag, name) == ("a", "href")]
        if tag in ("link", "img", "iframe") or "src" in dict(attrs):
            self.loaded.append(tag)


@asynccontextmanager
async def every_port(
    tmp_path: Path, redis_url: str, namespace: str
) -> AsyncIterator[dict[str, aiohttp.ClientSession]]:
    """A session with each of the four ports, by name."""
    async with AsyncExitStack() as stack:
        model = echo(Datatype.FP32)
        replica = await stack.enter_async_context(open_grpc_replica(tmp_path, model))
        running = running_registry(redis_url, namespace, tmp_path / "registry")
        registry = await stack.enter_async_context(running)
        monitor = await stack.enter_async_context(running_monitor(tmp_path / "monitor"))
        sessions = {"monitor": monitor.http}
        for name, address in (
            ("rest", replica.http_address),
            ("metrics", replica.metrics_address),
            ("registry", registry.http_address),
        ):
            session = aiohttp.ClientSession(f"http://{address}")
            sessions[name] = await stack.enter_async_context(session)
        yield sessions


async def test_every_port_says_what_it_is_and_links_on(
    tmp_path: Path, redis_url: str, namespace: str
) -> None:
    """Programs get JSON, browsers a page that loads nothing; every link leads somewhere."""
    names = {}
    async with every_port(tmp_path, redis_url, namespace) as sessions:
        for port, http in sessions.items():
            async with http.get("/") as response:
                about: Any = await response.json()
            async with http.get("/", headers=BROWSER) as shown:
                page = Page()
                page.feed(await shown.text())
            linked = [link["path"] for link in about["links"]]
            for path in linked:
                async with http.get(path) as response:
                    assert 404 != response.status, (port, path)
            names[port] = about["name"]
            assert "text/html" == shown.content_type
            # the monitor's page is the console
            assert (page.loaded, page.links) == ([], linked) or port == "monitor"
    expected = {
        "rest": "Headrace inference, REST",
        "metrics": "Headrace inference, metrics",
        "registry": "Headrace registry, metrics",
        "monitor": "Headrace monitor",
    }
    assert expected == names


async def test_paths_that_lead_nowhere_name_those_there_are(
    tmp_path: Path, redis_url: str, namespace: str
) -> None:
    """In JSON, at every port; and another verb than a path takes is told which it takes."""
    async with every_port(tmp_path, redis_url, namespace) as sessions:
        for http in sessions.values():
            async with http.get("/no%FFwhere") as response:
                answer: Any = await response.json()
            assert (404, "NOT_FOUND") == (response.status, answer["reason"])
            assert "there is nothing at /no" in answer["error"]
            assert "/docs" in answer["error"] or "/metrics" in answer["error"]
            async with http.put("/") as refused:
                told: Any = await refused.json()
            assert (405, "METHOD_NOT_ALLOWED") == (refused.status, told["reason"])
            assert "/ takes GET, not PUT" == told["error"]
            assert "GET" in refused.headers["Allow"]


@pytest.mark.parametrize("port", ["http_address", "metrics_address"])
async def test_http_2_is_told_that_this_is_http_1(port: str, tmp_path: Path) -> None:
    """What a gRPC client meets that was given a port of HTTP."""
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32)) as replica:
        host, _, number = getattr(replica, port).rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(number))
        writer.write(HTTP_2)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.")
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"as gRPC clients speak it; give them the service's gRPC port" in answer
