"""What errors of any kind become on their way out of a REST handler."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headrace import errors
from headrace.security import callers
from headrace.service.http.answers import Response, json_response
from headrace.service.http.app import Handle, HttpApp
from headrace.service.http.requests import Request
from headrace.service.http.server import open_http_server
from tests.rpc.grpc_fixtures import open_grpc_replica
from tests.rpc.rest_fixtures import arithmetic

HEADERS = {"X-Request-Id": "r-1", "X-Headrace-Actor": "ada"}


async def answer_of(handler: Handle) -> tuple[aiohttp.ClientResponse, Any]:
    """What a server with this one handler answers."""
    app = HttpApp(lambda path: path)
    app.add("GET", "/", handler)
    async with (
        open_http_server(app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/", headers=HEADERS) as response,
    ):
        return response, await response.json()


async def test_everything_an_error_has() -> None:
    """Reason, facts, violations and the retry delay reach the caller, the delay in whole seconds too."""

    async def refuse(_: Request) -> Response:
        raise errors.ResourceExhausted(
            "QUEUE_FULL",
            "too many",
            facts={"limit": "8"},
            violations=(errors.FieldViolation("a.b", "too long"),),
            retry_after_seconds=0.1,
        )

    response, body = await answer_of(refuse)
    assert (429, "1") == (response.status, response.headers["Retry-After"])
    assert {
        "error": "too many",
        "reason": "QUEUE_FULL",
        "facts": {"limit": "8"},
        "violations": [{"field": "a.b", "description": "too long"}],
        "retry_after_seconds": 0.1,
    } == body


async def test_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is a 500 that tells nothing of our insides, and its traceback is logged once."""

    async def stumble(_: Request) -> Response:
        raise ZeroDivisionError("secret")

    with caplog.at_level(logging.ERROR):
        response, body = await answer_of(stumble)
    assert (500, "INTERNAL") == (response.status, body["reason"])
    assert "secret" not in str(body)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert ZeroDivisionError is record.exc_info[0]


async def test_who_calls() -> None:
    """A handler knows who calls, as the headers say."""

    async def who(_: Request) -> Response:
        return json_response({"actor": callers.current_caller().actor})

    _, body = await answer_of(who)
    assert {"actor": "ada"} == body


async def test_errors_are_counted_by_route_and_reason(tmp_path: Path) -> None:
    """As often as callers were told; what has no route is one series a reason."""
    told = {
        (
            "GET",
            "/v2/models/nobody",
        ): 'method="GET",route="/v2/models/{model}",reason="MODEL_NOT_FOUND"',
        ("GET", "/v2/models/nobody/ready"): (
            'method="GET",route="/v2/models/{model}/ready",reason="MODEL_NOT_FOUND"'
        ),
        ("POST", "/v2/models/nobody/infer"): (
            'method="POST",route="/v2/models/{model}/infer",reason="MALFORMED_JSON"'
        ),
        ("GET", "/nowhere"): 'method="",route="",reason="NOT_FOUND"',
        ("DELETE", "/v2/models/nobody"): 'method="",route="",reason="METHOD_NOT_ALLOWED"',
    }
    async with (
        open_grpc_replica(tmp_path, arithmetic()) as replica,
        aiohttp.ClientSession() as session,
    ):
        for verb, path in (*told, *told):
            async with session.request(verb, f"http://{replica.http_address}{path}"):
                pass
        async with session.get(f"http://{replica.metrics_address}/metrics") as response:
            lines = (await response.text()).splitlines()
    name = "headrace_inference_rest_errors_total"
    assert {f"{name}{{{labels}}} 2" for labels in told.values()} == {
        line for line in lines if line.startswith(name)
    }
