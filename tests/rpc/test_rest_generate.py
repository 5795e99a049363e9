"""The generate form: JSON members to inputs by name, and outputs by name back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from onnx import helper

from headrace.datatypes import Datatype
from headrace.state.records import TensorSpec
from tests.rpc.rest_fixtures import Model, arithmetic, echo, model, open_http

TEXT = "/v2/models/prompt/generate"


def prompt() -> Model:
    """A model `prompt` that answers text = prompt, for one row of one text at a time."""
    specs = [TensorSpec(name, Datatype.BYTES, (-1, 1)) for name in ("prompt", "text")]
    node = helper.make_node("Identity", ["prompt"], ["text"])
    return model("prompt", [node], specs[:1], specs[1:], max_batch_size=8)


async def test_a_text(tmp_path: Path) -> None:
    """A text fills an input of one element, and comes back as a text, with the names of what answered."""
    async with open_http(tmp_path, prompt()) as http:
        status, answer = await http.post({"prompt": "grüße", "id": "seven"}, TEXT)
    assert 200 == status
    named = {"model_name": "prompt", "model_version": "1"}
    assert {"id": "seven", **named, "text": "grüße"} == answer


@pytest.mark.parametrize(
    ("a", "total"),
    [
        ([1, 2, 3, 4], [2.0, 3.0, 4.0, 5.0]),
        ([[1, 2, 3, 4]], [2.0, 3.0, 4.0, 5.0]),
        ([[1, 2, 3, 4], [5, 6, 7, 8]], [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]),
    ],
)
async def test_leading_dimensions(a: Any, total: list[float], tmp_path: Path) -> None:
    """A list without the batch's dimension is one row; outputs of several elements are flat lists."""
    b = [[1] * 4] * (len(total) // 4)
    async with open_http(tmp_path, arithmetic()) as http:
        status, answer = await http.post(
            {"a": a, "b": b}, "/v2/models/arithmetic/versions/1/generate"
        )
    assert (200, total) == (status, answer["sum"])


async def test_members_that_are_no_inputs(tmp_path: Path) -> None:
    """Other members and those of `parameters` are parameters, with their kinds checked."""
    async with open_http(tmp_path, prompt()) as http:
        given = {"prompt": "x", "stream": False, "parameters": {"temperature": 0.5, "priority": 1}}
        status, _ = await http.post(given, TEXT)
        wrong, answer = await http.post({"prompt": "x", "parameters": {"priority": -1}}, TEXT)
    assert (200, 400, "PARAMETER_INVALID") == (status, wrong, answer["reason"])


async def test_one_event(tmp_path: Path) -> None:
    """The stream form answers with one server-sent event of the same JSON."""
    async with open_http(tmp_path, prompt()) as http:
        body = json.dumps({"prompt": "one\ntwo"}).encode()
        response, content = await http.post_for_bytes(body, f"{TEXT}_stream", {})
    assert "text/event-stream; charset=utf-8" == response.headers["Content-Type"]
    assert content.startswith(b"data: {")
    assert content.endswith(b"}\n\n")
    assert "one\ntwo" == json.loads(content.removeprefix(b"data: "))["text"]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "MALFORMED_JSON"),
        (b'["x"]', 400, "MALFORMED_REQUEST"),
        ({}, 400, "INPUT_MISSING"),
        ({"prompt": 1}, 400, "DATA_INVALID"),
        ({"prompt": None}, 400, "DATA_INVALID"),
        ({"prompt": {}}, 400, "DATA_INVALID"),
        ({"prompt": [["x"], ["y", "z"]]}, 400, "DATA_INVALID"),
        ({"prompt": [[["x"]]]}, 400, "SHAPE_MISMATCH"),
        ({"prompt": [[]]}, 400, "SHAPE_MISMATCH"),
        ({"prompt": ["x"] * 9}, 400, "SHAPE_MISMATCH"),
        ({"prompt": [["x"]] * 9}, 400, "BATCH_TOO_LARGE"),
        ({"prompt": "x", "other": []}, 400, "PARAMETER_INVALID"),
        ({"prompt": "x", "parameters": 1}, 400, "MALFORMED_REQUEST"),
        (b'{"prompt": "x", "parameters": {"a": "\xff"}}', 400, "MALFORMED_JSON"),
        (b'{"prompt": "x", "id": "\xff"}', 400, "MALFORMED_JSON"),
        ({"prompt": "x", "id": 1}, 400, "MALFORMED_REQUEST"),
        ({"prompt": "x", "triton_x": 1}, 400, "PARAMETER_RESERVED"),
        (b'{"prompt": [1e400]}', 400, "DATA_INVALID"),
        (b'{"prompt": "\xff"}', 400, "DATA_INVALID"),
        (b'{"prompt": "\\ud800"}', 400, "MALFORMED_JSON"),
        (b'{"prompt": "x", "other": 1e400}', 400, "PARAMETER_INVALID"),
        (b'{"prompt": "x", "other": "\xff"}', 400, "PARAMETER_INVALID"),
        (b'{"prompt": "x", "other": "\\ud800"}', 400, "MALFORMED_JSON"),
        (b'{"prompt": ' + b"[" * 100_000, 400, "MALFORMED_JSON"),
    ],
)
@pytest.mark.parametrize("form", ["generate", "generate_stream"])
async def test_wrong_bodies(
    body: object, status: int, reason: str, form: str, tmp_path: Path
) -> None:
    """A wrong body is refused with its reason as plain JSON, on both routes."""
    async with open_http(tmp_path, prompt()) as http:
        got, answer = await http.post(body, f"/v2/models/prompt/{form}")
        good, _ = await http.post({"prompt": "x"}, TEXT)
    assert (status, reason, 200) == (got, answer["reason"], good)


async def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    """An unknown model is a 404, on both routes."""
    async with open_http(tmp_path, prompt()) as http:
        for form in ("generate", "generate_stream"):
            status, answer = await http.post({}, f"/v2/models/other/{form}")
            assert (404, "MODEL_NOT_FOUND") == (status, answer["reason"])


async def test_outputs_without_json(tmp_path: Path) -> None:
    """A model whose output has no JSON form is refused before it runs."""
    async with open_http(tmp_path, echo(Datatype.FP16)) as http:
        status, answer = await http.post({}, "/v2/models/echo-FP16/generate")
        book = http.server.ingress.book
        runs = book.of("echo-FP16", 1).totals().executions
    assert (400, "INPUT_MISSING", 0) == (status, answer["reason"], runs)


async def test_many_values_are_read_beside_the_event_loop(tmp_path: Path) -> None:
    """A large request is answered as a small one, and what is wrong with it is told."""
    count = 100_000
    async with open_http(tmp_path, echo(Datatype.FP32)) as http:
        path = "/v2/models/echo-FP32/generate"
        status, answer = await http.post({"x": [1.5] * count}, path)
        wrong, refused = await http.post({"x": [1.5] * count + ["text"]}, path)
        unknown, _ = await http.post({"x": [1.5] * count}, "/v2/models/unknown/generate")
    assert (200, [1.5] * count) == (status, answer["y"])
    assert (400, "DATA_INVALID") == (wrong, refused["reason"])
    assert 404 == unknown
