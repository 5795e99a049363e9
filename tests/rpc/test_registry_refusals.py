"""What a refusal of a model says, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from tests.rpc.registry_fixtures import (
    error_of,
    external_data_files,
    onnx_file,
    push,
    running_registry,
    zip_of,
)


def unknown_operator() -> bytes:
    """A graph with an operator of a domain that ONNX Runtime does not have."""
    graph = helper.make_graph(
        [helper.make_node("Own", ["x"], ["y"], domain="own")],
        "own",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return bytes(model.SerializeToString())


def short_weights() -> dict[str, bytes]:
    """A graph whose weights are cut short, which ONNX Runtime finds."""
    return external_data_files() | {"weights.bin": b"123"}


@pytest.mark.parametrize(
    ("name", "artifact", "told"),
    [
        ("m.onnx", unknown_operator(), "model.onnx"),
        ("m.zip", zip_of({"own.onnx": unknown_operator()}), "own.onnx"),
        ("m.onnx", b"no onnx at all", ""),
        ("m.onnx", onnx_file()[:-20], ""),
        ("m.onnx", onnx_file(element=TensorProto.COMPLEX64), ""),
        ("m.zip", zip_of(short_weights()), ""),
    ],
)
async def test_a_refusal_tells_no_path_of_the_machine(
    redis_url: str, namespace: str, tmp_path: Path, name: str, artifact: bytes, told: str
) -> None:
    """What the checker and ONNX Runtime say of a file names it as the artifact does."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        error = await error_of(push(running, artifact, filename=name))
    assert told in error.message
    assert not [word for word in ("staging", "/artifact", str(tmp_path)) if word in error.message]
