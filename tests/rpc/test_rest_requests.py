"""The REST form as seen by plain HTTP: bodies, headers and errors."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.datatypes import Datatype
from tests.rpc.rest_fixtures import ECHO, GOOD, MAX_BODY_BYTES, arithmetic, echo, open_http

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY_HEAD = json.dumps(
    {
        "inputs": [
            {
                "name": "x",
                "datatype": "FP32",
                "shape": [2],
                "parameters": {"binary_data_size": 8},
            }
        ]
    }
).encode()
BINARY_BODY = BINARY_HEAD + np.array([1, 2], dtype=np.float32).tobytes()


async def test_json_request(tmp_path: Path) -> None:
    """A JSON request gets a JSON answer, with id, exact version and the route taken."""
    async with open_http(tmp_path) as http:
        status, answer = await http.post(GOOD | {"id": "seven"})
    assert 200 == status
    assert {
        "model_name": "echo-FP32",
        "model_version": "1",
        "id": "seven",
        "parameters": {"headrace.route": "stable"},
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "data": [1.0, 2.0]}],
    } == answer


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/echo-FP32@champion/infer",
        "/v2/models/echo-FP32/versions/champion/infer",
        "/v2/models/echo-FP32/versions/1/infer",
        "/v2/models/echo-FP32%40champion/infer",
    ],
)
async def test_names_in_paths(path: str, tmp_path: Path) -> None:
    """A version may be named by number or alias, an alias behind the model's name as well."""
    async with open_http(tmp_path) as http:
        status, answer = await http.post(GOOD, path)
    assert (200, "1") == (status, answer["model_version"])


async def test_non_finite_values_in_json(tmp_path: Path) -> None:
    """NaN and the infinities come back as strings, in JSON that any parser reads."""
    values = ["NaN", "Infinity", "-Infinity", 1.5]
    tensor = {"name": "x", "datatype": "FP32", "shape": [4], "data": values}
    async with open_http(tmp_path) as http:
        _, answer = await http.post({"inputs": [tensor]})
    assert values == answer["outputs"][0]["data"]


async def test_mixed_inputs_and_outputs(tmp_path: Path) -> None:
    """One input as JSON, one as binary data; one output as each."""
    inputs = [
        {"name": "a", "datatype": "FP32", "shape": [1, 4], "data": [[1, 2, 3, 4]]},
        {
            "name": "b",
            "datatype": "FP32",
            "shape": [1, 4],
            "parameters": {"binary_data_size": 16},
        },
    ]
    outputs = [{"name": "sum", "parameters": {"binary_data": False}}, {"name": "product"}]
    head = json.dumps(
        {"inputs": inputs, "outputs": outputs, "parameters": {"binary_data_output": True}}
    ).encode()
    body = head + np.full(4, 2, dtype=np.float32).tobytes()
    async with open_http(tmp_path, arithmetic()) as http:
        response, content = await http.post_for_bytes(
            body, "/v2/models/arithmetic/infer", {HEADER_LENGTH: str(len(head))}
        )
    length = int(response.headers[HEADER_LENGTH])
    first, second = json.loads(content[:length])["outputs"]
    assert [3.0, 4.0, 5.0, 6.0] == first["data"]
    assert {"binary_data_size": 16} == second["parameters"]
    assert [2.0, 4.0, 6.0, 8.0] == np.frombuffer(content[length:], np.float32).tolist()
    assert "application/octet-stream" == response.headers["Content-Type"]


async def test_raw_binary_request(tmp_path: Path) -> None:
    """A body that is the tensor alone is answered with binary outputs."""
    raw = np.array([1, 2, 3], dtype=np.float32).tobytes()
    async with open_http(tmp_path) as http:
        response, content = await http.post_for_bytes(raw, ECHO, {HEADER_LENGTH: "0"})
    assert 200 == response.status
    assert raw == content[int(response.headers[HEADER_LENGTH]) :]


async def test_text_in_json(tmp_path: Path) -> None:
    """Text comes back as JSON strings."""
    tensor = {"name": "x", "datatype": "BYTES", "shape": [2], "data": ["", "grüße"]}
    async with open_http(tmp_path, echo(Datatype.BYTES)) as http:
        _, answer = await http.post({"inputs": [tensor]}, "/v2/models/echo-BYTES/infer")
    assert ["", "grüße"] == answer["outputs"][0]["data"]


@pytest.mark.parametrize("datatype", [Datatype.FP16, Datatype.BF16])
async def test_outputs_without_json(datatype: Datatype, tmp_path: Path) -> None:
    """An FP16 or BF16 output that was not asked for as binary data is an error that says how to."""
    shape, size = {"name": "x", "datatype": datatype, "shape": [1]}, {"binary_data_size": 2}
    head = json.dumps({"inputs": [shape | {"parameters": size}]}).encode()
    async with open_http(tmp_path, echo(datatype)) as http:
        status, answer = await http.post(
            head + b"\0\0", f"/v2/models/echo-{datatype}/infer", {HEADER_LENGTH: str(len(head))}
        )
    assert (400, "DATATYPE_NOT_IN_JSON") == (status, answer["reason"])
    assert "binary_data: true" in answer["error"]


def wrong(**changes: Any) -> dict[str, Any]:
    return {"inputs": [GOOD["inputs"][0] | changes]}


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"", {}, "MALFORMED_JSON"),
        (b'{"inputs": [', {}, "MALFORMED_JSON"),
        (b'{"id": "\xff"}', {}, "MALFORMED_JSON"),
        (b"[" * 100_000, {}, "MALFORMED_REQUEST"),
        (b'{"x":' + b"[" * 100_000, {}, "MALFORMED_JSON"),
        (wrong(data=[[1], [2]]), {}, "DATA_INVALID"),
        (wrong(data=[1, 2, 3]), {}, "DATA_INVALID"),
        (wrong(data=[1, "two"]), {}, "DATA_INVALID"),
        (wrong(shape=[2, 1]), {}, "SHAPE_MISMATCH"),
        (wrong(shape=[-2]), {}, "SHAPE_NEGATIVE"),
        (wrong(shape=[2**62]), {}, "SHAPE_TOO_LARGE"),
        (wrong(datatype="FP31"), {}, "DATATYPE_MISMATCH"),
        (wrong(name="z"), {}, "INPUT_UNKNOWN"),
        ({"inputs": []}, {}, "INPUT_MISSING"),
        (GOOD | {"outputs": [{"name": "z"}]}, {}, "OUTPUT_UNKNOWN"),
        (GOOD | {"parameters": {"triton_x": 1}}, {}, "PARAMETER_RESERVED"),
        (BINARY_BODY, {}, "MALFORMED_JSON"),
        (BINARY_BODY, {HEADER_LENGTH: "-1"}, "HEADER_LENGTH_INVALID"),
        (BINARY_BODY, {HEADER_LENGTH: "many"}, "HEADER_LENGTH_INVALID"),
        (BINARY_BODY, {HEADER_LENGTH: str(len(BINARY_BODY) + 1)}, "HEADER_LENGTH_INVALID"),
        (BINARY_BODY, {HEADER_LENGTH: str(len(BINARY_HEAD) - 1)}, "MALFORMED_JSON"),
        (BINARY_BODY[:-1], {HEADER_LENGTH: str(len(BINARY_HEAD))}, "BINARY_SIZE_MISMATCH"),
        (BINARY_BODY + b"x", {HEADER_LENGTH: str(len(BINARY_HEAD))}, "BINARY_SIZE_MISMATCH"),
        (b"abc", {HEADER_LENGTH: "0"}, "RAW_REQUEST_INVALID"),
        (b"abc", {"Content-Encoding": "gzip"}, "MALFORMED_ENCODING"),
        (gzip.compress(b"abc")[:-3], {"Content-Encoding": "gzip"}, "MALFORMED_ENCODING"),
        (bytes(MAX_BODY_BYTES + 1), {}, "BODY_TOO_LARGE"),
    ],
)
async def test_wrong_bodies(
    body: object, headers: dict[str, str], reason: str, tmp_path: Path
) -> None:
    """A wrong body is a 400 with its reason, and the next good request on the server is served."""
    async with open_http(tmp_path) as http:
        status, answer = await http.post(body, headers=headers)
        good, _ = await http.post(GOOD)
    assert (400, reason, 200) == (status, answer["reason"], good)
    assert answer["error"]


async def test_other_encodings(tmp_path: Path) -> None:
    """An encoding that is not offered is refused as such."""
    async with open_http(tmp_path) as http:
        status, answer = await http.post(b"abc", headers={"Content-Encoding": "br"})
    assert (501, "ENCODING_UNSUPPORTED") == (status, answer["reason"])


@pytest.mark.parametrize(
    ("verb", "path", "status", "reason"),
    [
        ("GET", "/v3", 404, "NOT_FOUND"),
        ("GET", "/v2/nothing", 404, "NOT_FOUND"),
        ("GET", "/v2/models/echo-FP32/versions", 404, "NOT_FOUND"),
        ("POST", "/v2/models/echo-FP32", 405, "METHOD_NOT_ALLOWED"),
        ("GET", ECHO, 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/v2/models/other", 404, "MODEL_NOT_FOUND"),
        ("GET", "/v2/models/other/ready", 404, "MODEL_NOT_FOUND"),
        ("GET", "/v2/models/%FF", 404, "MODEL_NOT_FOUND"),
        ("GET", "/v2/models/%00%0a/config", 404, "MODEL_NOT_FOUND"),
        ("GET", "/v2/models/other/stats", 404, "MODEL_NOT_FOUND"),
        ("GET", "/v2/models/echo-FP32/versions/2", 404, "VERSION_NOT_FOUND"),
        ("GET", "/v2/models/echo-FP32@champion/versions/1", 400, "VERSION_AMBIGUOUS"),
    ],
)
async def test_errors_are_json(
    verb: str, path: str, status: int, reason: str, tmp_path: Path
) -> None:
    """Every error is JSON with a text and a reason, whoever found it."""
    async with open_http(tmp_path) as http:
        got, answer = await http.get(path, verb)
    assert (status, reason) == (got, answer["reason"])
    assert answer["error"]


async def test_readiness_says_so_in_json(tmp_path: Path) -> None:
    """Health answers carry a body that clients of the protocol's JSON form read."""
    async with open_http(tmp_path) as http:
        live, ready = await http.get("/v2/health/live"), await http.get("/v2/health/ready")
        of_model = await http.get("/v2/models/echo-FP32/ready")
        http.server.ready = False
        status, answer = await http.get("/v2/health/ready")
    assert ((200, {"live": True}), (200, {"ready": True})) == (live, ready)
    assert (200, {"name": "echo-FP32", "ready": True}) == of_model
    assert (400, False, "SERVER_NOT_READY") == (status, answer["ready"], answer["reason"])


@pytest.mark.parametrize(("body", "count"), [(b"", 1), (b"{}", 1), (b'{"ready": true}', 1)])
async def test_repository_index(body: bytes, count: int, tmp_path: Path) -> None:
    """The index takes no body, an empty object, or the wish for ready versions only."""
    async with open_http(tmp_path) as http:
        status, answer = await http.post(body, "/v2/repository/index")
    assert (200, count) == (status, len(answer))


async def test_answers_are_packed_on_request_only(tmp_path: Path) -> None:
    """A large answer is packed for who accepts that, a small one for nobody."""
    large = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [900], "data": [1] * 900}]}
    codings = []
    async with open_http(tmp_path) as http:
        for body, accepted in ((large, "gzip"), (large, "identity"), (GOOD, "gzip")):
            response, _ = await http.post_for_bytes(
                json.dumps(body).encode(), ECHO, {"Accept-Encoding": accepted}
            )
            assert 200 == response.status
            codings.append(response.headers.get("Content-Encoding"))
    assert ["gzip", None, None] == codings
