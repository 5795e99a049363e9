"""REST shows the way: what models there are, and where a request that went wrong should have gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.datatypes import Datatype
from tests.rpc.rest_fixtures import GOOD, arithmetic, echo, open_http

MODELS = [echo(datatype) for datatype in (Datatype.FP32, Datatype.INT64, Datatype.BYTES)]


async def test_models_are_listed_page_by_page(tmp_path: Path) -> None:
    """Every model once, by name, with its versions and where they stand; pages of any size."""
    async with open_http(tmp_path, *MODELS, arithmetic()) as http:
        _, whole = await http.get("/v2/models")
        paged, token = [], ""
        while True:
            _, page = await http.get(f"/v2/models?page_size=3&page_token={token}")
            paged.append([model["name"] for model in page["models"]])
            token = page["next_page_token"]
            if not token:
                break

    version = {"version": "1", "state": "READY", "reason": ""}
    assert {"name": "arithmetic", "ready": True, "versions": [version]} == whole["models"][0]
    assert [["arithmetic", "echo-BYTES", "echo-FP32"], ["echo-INT64"]] == paged
    assert ("", 4) == (whole["next_page_token"], len(whole["models"]))


@pytest.mark.parametrize("size", ["0", "1001", "-1", "", "ten", "1" * 5000])
async def test_pages_of_other_sizes_are_refused(size: str, tmp_path: Path) -> None:
    """A size from 1 to 1000 is expected."""
    async with open_http(tmp_path) as http:
        status, answer = await http.get(f"/v2/models?page_size={size}")

    assert (400, "PAGE_SIZE_INVALID") == (status, answer["reason"])
    assert "from 1 to 1000" in answer["error"]


@pytest.mark.parametrize(
    ("body", "path", "meant"),
    [
        ({"x": [1, 2]}, "/v2/models/echo-FP32", 'POST {"x":...} to /v2/models/echo-FP32/generate'),
        ({"instances": []}, "/v2/models/arithmetic/versions/1",
         'POST {"a":...,"b":...} to /v2/models/arithmetic/versions/1/generate'),
        ({"inputs": {"x": [1, 2]}}, "/v2/models/echo-FP32",
         'POST {"x":...} to /v2/models/echo-FP32/generate'),
        ({"y": 1}, "/v2/models/other", 'POST {"y":...} to /v2/models/other/generate'),
    ],
)  # fmt: skip
async def test_values_by_name_are_sent_to_generate(
    body: Any, path: str, meant: str, tmp_path: Path
) -> None:
    """infer says, in a line, where values by name are taken, and with which members."""
    async with open_http(tmp_path, *MODELS, arithmetic()) as http:
        status, answer = await http.post(body, f"{path}/infer")
        large, told = await http.post(body | {"more": [0.5] * 100_000}, f"{path}/infer")

    assert (400, "MALFORMED_REQUEST") == (status, answer["reason"])
    assert answer["error"].endswith(meant)
    assert (400, "MALFORMED_REQUEST") == (large, told["reason"])
    assert "to /v2/models" in told["error"]


@pytest.mark.parametrize(
    ("body", "model", "reason", "said"),
    [
        ({}, "arithmetic", "INPUT_MISSING",
         "takes 'a' (FP32 [-1, 4]), 'b' (FP32 [-1, 4]); the body lacks a, b"),
        ({"a": [1, 2, 3, 4]}, "arithmetic", "INPUT_MISSING", "the body lacks b"),
        (GOOD, "echo-FP32", "INPUT_MISSING", "the body is the form of infer: POST it there"),
        ({"x": 1, "X": [1]}, "echo-FP32", "PARAMETER_INVALID",
         "'X' is not an input of model 'echo-FP32', which takes 'x' (FP32 [-1])"),
        ({"x": ["a"]}, "echo-FP32", "DATA_INVALID", "input 'x' (FP32, shape [1]): Expected `float`, "),
        ({"x": [1.5]}, "echo-INT64", "DATA_INVALID", "(INT64, shape [1]): Expected `int`, got `float`"),
        ({"x": [1]}, "echo-BYTES", "DATA_INVALID", "(BYTES, shape [1]): Expected `str`, got `int`"),
    ],
)  # fmt: skip
async def test_generate_says_what_a_model_takes(
    body: Any, model: str, reason: str, said: str, tmp_path: Path
) -> None:
    """Its errors name inputs and datatypes."""
    async with open_http(tmp_path, *MODELS, arithmetic()) as http:
        status, answer = await http.post(body, f"/v2/models/{model}/generate")

    assert (400, reason) == (status, answer["reason"])
    assert said in answer["error"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v2/model/iris/infer", "did you mean /v2/models/iris/infer or"),
        ("/v2/models/iris/infer/", "did you mean /v2/models/iris/infer or"),
        ("/v2/models/iris/genrate", "did you mean /v2/models/iris/generate or"),
        (
            "/v2/models/team/iris/generate",
            "did you mean /v2/models/team/versions/{version}/generate",
        ),
        ("/v2/ready", "did you mean /v2/health/ready"),
        ("/v2/heath/ready", "did you mean /v2/health/ready"),
        ("/metrics", "/metrics is at the port of metrics"),
        ("/nowhere", "there is nothing at /nowhere; /docs lists all paths"),
        ("/v2" * 5000, "/docs lists all paths"),
    ],
)
async def test_paths_that_lead_nowhere_name_those_nearby(
    path: str, said: str, tmp_path: Path
) -> None:
    """The answer is JSON, and has the path's own names in their places."""
    async with open_http(tmp_path) as http:
        status, answer = await http.get(path)

    assert (404, "NOT_FOUND") == (status, answer["reason"])
    assert said in answer["error"]
    assert 1000 >= len(answer["error"])


async def test_another_verb_says_which_the_path_takes(tmp_path: Path) -> None:
    """As the header Allow does."""
    async with open_http(tmp_path) as http:
        status, answer = await http.get("/v2/models/echo-FP32/infer")

    assert 405 == status
    assert "/v2/models/echo-FP32/infer takes POST, not GET" == answer["error"]
