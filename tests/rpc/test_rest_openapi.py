"""The OpenAPI document is true: the routes that there are, and what they really take and answer."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from headrace_inference.wire.openai.routes import add_openai_routes
from headrace_inference.wire.rest.routes import RestLimits, rest_app
from headrace_inference.wire.server_queries import ServerFacts
from tests.rpc.rest_fixtures import (
    GOOD,
    SERVER_VERSION,
    FolderLoader,
    Http,
    arithmetic,
    echo,
    open_http,
)
from tests.rpc.test_rest_requests import BINARY_BODY, BINARY_HEAD, HEADER_LENGTH

EXAMPLES = 20
"""Of each kind for each operation: the whole run stays under some 20 seconds."""

CONFIG = """
[parameters]
"path.model" = "echo-FP32"
"path.version" = "1"

[checks.positive_data_acceptance]
enabled = false  # what fits a model (shapes, datatypes) is the model's to say, not the schema's

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "501", "503"]  # switched off here, and said so

[[operations]]
include-operation-id = ["infer", "inferOfVersion"]
checks.negative_data_rejection.enabled = false  # a header of 0 makes a tensor of any bytes
"""


async def document_of(http: Http) -> Any:
    """The document that a server gives."""
    status, document = await http.get("/openapi.json")
    assert status == 200
    return document


async def test_every_route_is_described(tmp_path: Path) -> None:
    """What the document describes and what the application routes are the same, one by one."""
    loader = FolderLoader(tmp_path, None)  # type: ignore[arg-type]  # loads nothing
    reconciler = VersionReconciler(loader, StatisticsRegistry(), SYSTEM_CLOCK, max_loading=1)
    facts = ServerFacts(SERVER_VERSION, lambda: True)
    ingress = Ingress(reconciler, StatisticsRegistry())
    app = rest_app(ingress, facts, RestLimits(1, 1))
    add_openai_routes(app, ingress, facts)
    routed = {(verb.lower(), template) for verb, template in app.router.routes()}
    async with open_http(tmp_path) as http:
        document = await document_of(http)
    described = {(verb, path) for path, verbs in document["paths"].items() for verb in verbs}
    assert routed == described
    names = [
        operation["operationId"]
        for verbs in document["paths"].values()
        for operation in verbs.values()
    ]
    assert sorted(set(names)) == sorted(names)
    assert SERVER_VERSION == document["info"]["version"]


def validator(document: Any, path: str, verb: str, status: int) -> Any:
    """Checks an answer's JSON against the schema of this status."""
    response = document["paths"][path][verb]["responses"][str(status)]
    schema = response["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator(schema | {"components": document["components"]})


MODEL = "/v2/models/{model}"
GETS = [
    "/",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    MODEL,
    f"{MODEL}/ready",
    f"{MODEL}/config",
    f"{MODEL}/stats",
    f"{MODEL}/versions/{{version}}",
    "/v2/models",
    "/v2/models/stats",
    "/v2/logging",
    "/v2/trace/setting",
    f"{MODEL}/trace/setting",
    "/openapi.json",
    "/v1/models",
    "/version",
    "/health",
]


async def test_good_answers_fit_their_schemas(tmp_path: Path) -> None:
    """What the routes answer when all is well is what the document says."""
    async with open_http(tmp_path, echo(Datatype.FP32), arithmetic()) as http:
        document = await document_of(http)
        await http.post(GOOD)
        for path in GETS:
            status, answer = await http.get(path.format(model="echo-FP32", version="1"))
            assert 200 == status
            validator(document, path, "get", 200).validate(answer)
        for path, body in (
            (f"{MODEL}/infer", GOOD | {"id": "seven"}),
            (f"{MODEL}/generate", {"x": [1, 2], "id": "seven"}),
            ("/v2/repository/index", {"ready": True}),
            ("/v2/repository/{repository}/index", {}),
        ):
            status, answer = await http.post(body, path.format(model="echo-FP32", repository="any"))
            assert 200 == status
            validator(document, path, "post", 200).validate(answer)


async def test_binary_heads_fit_the_schema(tmp_path: Path) -> None:
    """The JSON in front of binary tensors is an answer like any other."""
    async with open_http(tmp_path) as http:
        document = await document_of(http)
        response, content = await http.post_for_bytes(
            BINARY_BODY, "/v2/models/echo-FP32/infer", {HEADER_LENGTH: str(len(BINARY_HEAD))}
        )
        assert 200 == response.status
        raw, _ = await http.post_for_bytes(
            np.ones(2, np.float32).tobytes(), "/v2/models/echo-FP32/infer", {HEADER_LENGTH: "0"}
        )
    head = json.loads(content[: int(response.headers.get(HEADER_LENGTH, len(content)))])
    validator(document, f"{MODEL}/infer", "post", 200).validate(head)
    described = document["paths"][f"{MODEL}/infer"]["post"]["responses"]["200"]["content"]
    assert {response.content_type, raw.content_type} <= set(described)


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("get", MODEL, 404),
        ("post", f"{MODEL}/infer", 404),
        ("post", f"{MODEL}/generate", 404),
        ("get", f"{MODEL}/ready", 404),
        ("post", "/v2/logging", 400),
        ("get", "/v2/systemsharedmemory/status", 501),
        ("post", "/v2/repository/models/{model}/load", 503),
        ("get", "/v1/models/{id}", 404),
        ("post", "/v1/chat/completions", 400),
    ],
)
async def test_errors_fit_their_schemas(verb: str, path: str, status: int, tmp_path: Path) -> None:
    """Errors are described with their statuses, and have the described form."""
    url = path.format(model="other", id="other")
    body: object = GOOD if "infer" in path else {} if "models" in path else []
    async with open_http(tmp_path) as http:
        document = await document_of(http)
        got, answer = await (http.get(url) if verb == "get" else http.post(body, url))
    assert status == got
    validator(document, path, verb, status).validate(answer)


async def test_readiness_fits_its_schema(tmp_path: Path) -> None:
    """A server that is not ready says so in the form described."""
    async with open_http(tmp_path) as http:
        document = await document_of(http)
        http.server.ready = False
        status, answer = await http.get("/v2/health/ready")
    assert 400 == status
    validator(document, "/v2/health/ready", "get", 400).validate(answer)


class Assets(HTMLParser):
    """Collects what a page would fetch, or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe") or dict(attrs).keys() & {"src", "style"}:
            self.found.append(tag)


async def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    """The page shows every operation, and loads nothing from anywhere."""
    async with open_http(tmp_path) as http:
        document = await document_of(http)
        text = await get_text(http, "/docs")
    assets = Assets()
    assets.feed(text)
    assert [] == assets.found
    assert "http:" not in text
    assert "https:" not in text
    missing = [path for path in document["paths"] if f"<code>{path}</code>" not in text]
    assert [] == missing


async def get_text(http: Http, path: str) -> str:
    """The text of a page."""
    host, port = http.server.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    return text


async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """Requests made up from the document, good and bad, get answers that it describes, and no bug."""
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    async with open_http(tmp_path) as http:
        command = [*_schemathesis(http, config)]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            env=os.environ | {"NO_COLOR": "1", "SCHEMATHESIS_HOOKS": ""},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        good, _ = await http.post(GOOD)
    assert 0 == process.returncode, output.decode()[-9000:]
    assert 200 == good


def _schemathesis(http: Http, config: Path) -> Iterator[str]:
    yield from (sys.executable, "-m", "schemathesis.cli", "--config-file", str(config))
    yield from ("run", http.server.url("/openapi.json"))
    yield from ("--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES))
    yield from ("--seed", "7", "--generation-database", "none", "--suppress-health-check", "all")
