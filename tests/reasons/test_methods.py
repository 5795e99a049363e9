"""Refusals of a replica's other methods: told as the page says, and counted once by method or route."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from headrace.datatypes import Datatype
from tests.reasons.exact import Told, expected, scraped, told_by
from tests.reasons.methods import EXPLICIT, PLAIN, REGIONS, UNREADY, Method
from tests.reasons.replicas import Site, serving, serving_plain
from tests.reasons.scenes import SHARED_MEMORY
from tests.rpc.grpc_fixtures import FRONTS
from tests.rpc.rest_fixtures import echo, open_rest_server

CALLS, ROUTES = "headrace_call_errors_total", "headrace_inference_rest_errors_total"


async def look(site: Site, methods: Sequence[Method]) -> None:
    """Ask for each, and compare what was told with what is scraped."""
    wrong: list[str] = []
    calls, routes = Counter[str](), Counter[str]()
    for one in methods:
        if one.method:
            told = await told_by(getattr(site.replica.stub, one.method)(one.message))
            calls[one.reason] += 1
            if told != expected(one.kind, one.reason):
                wrong.append(f"{one.reason}: told {told}")
        if one.verb:
            options: dict[str, Any] = {} if one.body is None else {"json": one.body}
            told = await site.client.request(one.verb, one.path, **options)
            routes[one.reason] += 1
            if told != expected(one.kind, one.reason, over_http=True):
                wrong.append(f"{one.reason} over REST: told {told}")
    assert [] == wrong
    assert calls == await scraped(site.replica.metrics_address, CALLS)
    assert routes == await scraped(site.replica.metrics_address, ROUTES)


@pytest.mark.parametrize("front", FRONTS)
async def test_refusals_by_default(tmp_path: Path, front: str) -> None:
    """Models that are not there, settings, and what is switched off."""
    async with serving_plain(tmp_path, front) as site:
        await look(site, PLAIN)


@pytest.mark.parametrize("front", FRONTS)
async def test_refusals_of_regions(tmp_path: Path, front: str) -> None:
    """Where shared memory is switched on."""
    options: dict[str, Any] = {"front": front, "allow_client_shared_memory": True}
    file = SHARED_MEMORY / f"headrace-{uuid4().hex}"
    file.write_bytes(bytes(64))
    try:
        async with serving(tmp_path, echo(Datatype.FP32), **options) as site:
            regions = site.replica.ingress.regions
            regions.register_system("taken", f"/{file.name}", 0, 64)
            await look(site, REGIONS)
    finally:
        file.unlink()


@pytest.mark.parametrize("front", FRONTS)
async def test_refusals_of_loads(tmp_path: Path, front: str) -> None:
    """Where callers load models."""
    options: dict[str, Any] = {"front": front, "model_control": "explicit"}
    async with serving(tmp_path, echo(Datatype.FP32), **options) as site:
        await look(site, EXPLICIT)


async def test_a_replica_that_is_not_ready(tmp_path: Path) -> None:
    """Whoever asks is told so, and that is counted."""
    async with open_rest_server(tmp_path) as server, aiohttp.ClientSession() as session:
        server.ready = False
        (one,) = UNREADY
        async with session.get(server.url(one.path)) as response:
            told = Told(HTTPStatus(response.status).name, (await response.json())["reason"])
        assert expected(one.kind, one.reason, over_http=True) == told
        assert {("GET", one.path, one.reason): 1} == server.ingress.rest_errors
