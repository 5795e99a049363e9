"""The REST form as Triton's own, unmodified HTTP client sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton_http
import tritonclient.http.aio as triton_http_aio
from tritonclient.utils import InferenceServerException

from headrace.datatypes import Datatype
from tests.rpc.rest_fixtures import (
    SERVER_VERSION,
    arithmetic,
    echo,
    open_rest_server,
    samples,
    with_triton,
)

JSON_DATATYPES = [d for d in Datatype if d not in (Datatype.FP16, Datatype.BF16)]
A = np.arange(8, dtype=np.float32).reshape(2, 4)
B = np.full((2, 4), 2, dtype=np.float32)


def tensor(name: str, array: Any, datatype: str, *, binary: bool = True) -> Any:
    made = triton_http.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def operands(*, binary: bool = True) -> list[Any]:
    return [tensor("a", A, "FP32", binary=binary), tensor("b", B, "FP32", binary=binary)]


@pytest.mark.parametrize("datatype", Datatype)
async def test_every_datatype_in_binary(datatype: Datatype, tmp_path: Path) -> None:
    """Values of every datatype come back as they were sent, as binary data."""
    sent = samples(datatype)
    async with open_rest_server(tmp_path, echo(datatype)) as server:
        result = await with_triton(
            server, lambda client: client.infer(f"echo-{datatype}", [tensor("x", sent, datatype)])
        )
    assert sent.tolist() == result.as_numpy("y").tolist()
    assert sent.dtype == result.as_numpy("y").dtype


@pytest.mark.parametrize("datatype", JSON_DATATYPES)
async def test_every_datatype_in_json(datatype: Datatype, tmp_path: Path) -> None:
    """Values of every datatype that JSON carries come back as they were sent, as JSON."""
    sent = samples(datatype)
    given = tensor("x", sent, datatype, binary=False)
    wanted = [triton_http.InferRequestedOutput("y", binary_data=False)]
    async with open_rest_server(tmp_path, echo(datatype)) as server:
        result = await with_triton(
            server, lambda client: client.infer(f"echo-{datatype}", [given], outputs=wanted)
        )
    values = result.as_numpy("y")
    if datatype is Datatype.BYTES:
        values = np.array([text.encode() for text in values], dtype=np.object_)
    assert sent.tolist() == values.tolist()


async def test_outputs_of_both_kinds(tmp_path: Path) -> None:
    """One answer carries one output as JSON and the other as binary data, in the order asked for."""
    wanted = [
        triton_http.InferRequestedOutput("product", binary_data=True),
        triton_http.InferRequestedOutput("sum", binary_data=False),
    ]
    async with open_rest_server(tmp_path, arithmetic()) as server:
        result = await with_triton(
            server,
            lambda client: client.infer(
                "arithmetic", operands(), outputs=wanted, request_id="id-1", model_version="1"
            ),
        )
    response = result.get_response()
    assert ["product", "sum"] == [output["name"] for output in response["outputs"]]
    assert (A * B).tolist() == result.as_numpy("product").tolist()
    assert (A + B).tolist() == result.as_numpy("sum").tolist()
    assert ("id-1", "arithmetic", "1") == tuple(
        response[key] for key in ("id", "model_name", "model_version")
    )
    assert {"headrace.route": "pinned"} == response["parameters"]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
async def test_compression_both_ways(algorithm: str, tmp_path: Path) -> None:
    """Requests and answers may be packed by gzip or deflate."""
    sent = np.arange(5000, dtype=np.float32)
    async with open_rest_server(tmp_path, echo(Datatype.FP32)) as server:
        result = await with_triton(
            server,
            lambda client: client.infer(
                "echo-FP32",
                [tensor("x", sent, "FP32")],
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
            ),
        )
    assert sent.tolist() == result.as_numpy("y").tolist()


async def test_the_asyncio_client(tmp_path: Path) -> None:
    """The client's asyncio form works as well."""
    async with (
        open_rest_server(tmp_path, arithmetic()) as server,
        triton_http_aio.InferenceServerClient(server.address) as client,
    ):
        result = await client.infer("arithmetic@champion", operands())
    assert (A + B).tolist() == result.as_numpy("sum").tolist()


async def test_health(tmp_path: Path) -> None:
    """Live, ready and a model's ready are told apart."""
    async with open_rest_server(tmp_path, arithmetic()) as server:
        asked = [
            await with_triton(server, lambda client: client.is_server_live()),
            await with_triton(server, lambda client: client.is_server_ready()),
            await with_triton(server, lambda client: client.is_model_ready("arithmetic")),
            await with_triton(server, lambda client: client.is_model_ready("arithmetic", "2")),
            await with_triton(server, lambda client: client.is_model_ready("other")),
        ]
        server.ready = False
        asked.append(await with_triton(server, lambda client: client.is_server_ready()))
    assert [True, True, True, False, False, False] == asked


async def test_metadata_and_config(tmp_path: Path) -> None:
    """Metadata shows shapes with the batch dimension, the config without it."""
    async with open_rest_server(tmp_path, arithmetic()) as server:
        about = await with_triton(server, lambda client: client.get_server_metadata())
        metadata = await with_triton(server, lambda client: client.get_model_metadata("arithmetic"))
        config = await with_triton(server, lambda client: client.get_model_config("arithmetic"))
    assert SERVER_VERSION == about["version"]
    assert "statistics" in about["extensions"]
    assert (["1"], "onnxruntime_onnx") == (metadata["versions"], metadata["platform"])
    assert {"name": "a", "datatype": "FP32", "shape": [-1, 4]} == metadata["inputs"][0]
    assert (8, "TYPE_FP32", [4]) == (
        config["max_batch_size"],
        config["input"][0]["data_type"],
        config["input"][0]["dims"],
    )


async def test_statistics(tmp_path: Path) -> None:
    """Statistics count what was served, as numbers, with every key that tools index."""
    async with open_rest_server(tmp_path, arithmetic()) as server:
        await with_triton(server, lambda client: client.infer("arithmetic", operands()))
        read = await with_triton(
            server, lambda client: client.get_inference_statistics("arithmetic")
        )
        everything = await with_triton(server, lambda client: client.get_inference_statistics())
    (statistics,) = read["model_stats"]
    durations = statistics["inference_stats"]
    assert (2, 1) == (statistics["inference_count"], statistics["execution_count"])
    assert (1, 0) == (durations["success"]["count"], durations["fail"]["count"])
    assert durations["compute_infer"]["ns"] > 0
    assert {"count": 0, "ns": 0} == durations["cache_hit"] == durations["cache_miss"]
    assert read == everything


async def test_repository_index(tmp_path: Path) -> None:
    """The index lists every version with its state."""
    async with open_rest_server(tmp_path, arithmetic()) as server:
        index = await with_triton(server, lambda client: client.get_model_repository_index())
    assert [{"name": "arithmetic", "version": "1", "state": "READY", "reason": ""}] == index


@pytest.mark.parametrize(
    ("name", "version", "inputs", "message"),
    [
        ("other", "", operands(), "Request for unknown model: 'other' is not found"),
        ("arithmetic", "7", operands(), "version 7 is not found"),
        ("arithmetic@old", "", operands(), "has no alias 'old'"),
        ("arithmetic", "", operands()[:1], "expected 2 inputs but got 1 inputs"),
        (
            "arithmetic",
            "",
            [tensor("a", A[:1], "FP32"), tensor("b", B, "FP32")],
            "batch size does not match",
        ),
        (
            "arithmetic",
            "",
            [tensor("a", A.astype(np.int32), "INT32"), tensor("b", B, "FP32")],
            "data-type is 'INT32', but model 'arithmetic' expects 'FP32'",
        ),
    ],
)
async def test_wrong_requests(
    name: str, version: str, inputs: list[Any], message: str, tmp_path: Path
) -> None:
    """A wrong request is the client's exception, with the text; the next good one is served."""
    async with open_rest_server(tmp_path, arithmetic()) as server:
        with pytest.raises(InferenceServerException) as caught:
            await with_triton(server, lambda client: client.infer(name, inputs, version))
        result = await with_triton(server, lambda client: client.infer("arithmetic", operands()))
    assert message in caught.value.message()
    assert (A + B).tolist() == result.as_numpy("sum").tolist()
