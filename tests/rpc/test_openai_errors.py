"""Errors on the routes of OpenAI's API: in its form, with its codes and our reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from headrace.datatypes import Datatype
from tests.rpc.grpc_fixtures import open_grpc_replica
from tests.rpc.rest_fixtures import echo

ROWS: list[tuple[str, str, int, str, str]] = [
    ("GET", "/v1/models/none", 404, "model_not_found", "MODEL_NOT_FOUND"),
    ("GET", "/v1/models/echo-FP32", 404, "model_not_found", "MODEL_NOT_FOUND"),
    ("GET", "/v1/models/echo-FP32%2F7", 404, "model_not_found", "VERSION_NOT_FOUND"),
    ("GET", "/v1/models/echo-FP32@none", 404, "model_not_found", "ALIAS_NOT_FOUND"),
    ("GET", "/v1/nothing", 404, "not_found", "NOT_FOUND"),
    ("POST", "/v1/audio/transcriptions", 404, "not_found", "NOT_FOUND"),
    ("POST", "/v1/models", 405, "method_not_allowed", "METHOD_NOT_ALLOWED"),
]


async def asked(folder: Path, verb: str, path: str) -> tuple[aiohttp.ClientResponse, Any]:
    """The answer to a request, and its JSON."""
    async with (
        open_grpc_replica(folder, echo(Datatype.FP32)) as replica,
        aiohttp.ClientSession(f"http://{replica.http_address}") as session,
        session.request(
            verb, URL(path, encoded=True), headers={"X-Request-Id": "mine"}
        ) as response,
    ):
        return response, await response.json()


@pytest.mark.parametrize(("verb", "path", "status", "code", "reason"), ROWS)
async def test_errors(
    tmp_path: Path, verb: str, path: str, status: int, code: str, reason: str
) -> None:
    """Each says what OpenAI's clients look at, and the id of its request."""
    response, answer = await asked(tmp_path, verb, path)
    error = answer["error"]
    assert (status, code, reason) == (response.status, error["code"], error["reason"])
    assert "invalid_request_error" == error["type"]
    assert error["message"]
    assert error["param"] is None
    assert "mine" == response.headers["X-Request-Id"]


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completion", "/v1/completion"])
async def test_paths_that_are_nearly_right(tmp_path: Path, path: str) -> None:
    """A client whose base URL lacks /v1 is told what was meant, in the form that it reads."""
    response, answer = await asked(tmp_path, "POST", path)
    assert 404 == response.status
    assert (
        f"did you mean /v1/{'chat/' if 'chat' in path else ''}completions"
        in answer["error"]["message"]
    )


async def test_tensors_are_no_models_of_text(tmp_path: Path) -> None:
    """The list has what takes or gives text; it may be empty."""
    response, answer = await asked(tmp_path, "GET", "/v1/models")
    assert (200, {"object": "list", "data": []}) == (response.status, answer)


@pytest.mark.parametrize("path", ["/health", "/ping"])
async def test_probes(tmp_path: Path, path: str) -> None:
    """They say whether the replica serves."""
    response, answer = await asked(tmp_path, "GET", path)
    assert (200, {"status": "ok"}) == (response.status, answer)
