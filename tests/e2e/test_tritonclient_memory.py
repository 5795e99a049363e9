"""Shared memory and typed contents, as the unmodified `tritonclient` uses them on both wires."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import grpc
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from onnx import TensorProto, helper
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import (
    InferenceServerException,
    deserialize_bytes_tensor,
    serialize_byte_tensor,
    serialized_byte_size,
)
from tritonclient.utils import shared_memory as memory

from tests.e2e.served import FRONTS, Addresses, serving

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

NUMBERS = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), dtype=np.int32)
BYTES = NUMBERS.nbytes


@pytest.fixture(scope="module", params=FRONTS)
def suite(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Addresses]:
    """A suite with this option that allows shared memory and serves sums of numbers and of texts."""
    folder: Path = tmp_path_factory.mktemp("suite")
    settings = {"HEADRACE_INFERENCE_ALLOW_CLIENT_SHARED_MEMORY": "true"}
    models = {"sums": sums(), "bytes": sums(TensorProto.INT8), "texts": text_sums()}
    with serving(folder, models, [request.param], settings) as addresses:
        yield addresses


def sums(datatype: int = TensorProto.INT32) -> bytes:
    """a and b [batch, 16] to their sum and their difference."""
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"])]
    nodes.append(helper.make_node("Sub", ["a", "b"], ["difference"]))
    return model(nodes, datatype)


def text_sums() -> bytes:
    """The same with numbers that are written out."""
    nodes = [helper.make_node("Cast", [name], [f"{name}1"], to=TensorProto.INT32) for name in "ab"]
    for operator, name in (("Add", "sum"), ("Sub", "difference")):
        nodes.append(helper.make_node(operator, ["a1", "b1"], [f"{name}1"]))
        nodes.append(helper.make_node("Cast", [f"{name}1"], [name], to=TensorProto.STRING))
    return model(nodes, TensorProto.STRING)


def model(nodes: list[Any], datatype: int) -> bytes:
    """A graph of these nodes from a and b to sum and difference."""
    tensors = [
        helper.make_tensor_value_info(name, datatype, ["batch", 16])
        for name in ("a", "b", "sum", "difference")
    ]
    graph = helper.make_graph(nodes, "sums", tensors[:2], tensors[2:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


WIRES = pytest.mark.parametrize("wire", [tritonclient.grpc, tritonclient.http])


@contextmanager
def client_of(wire: ModuleType, suite: Addresses) -> Iterator[Any]:
    """The wire's client."""
    address = suite.grpc if wire is tritonclient.grpc else suite.http
    with wire.InferenceServerClient(address) as client:
        yield client


@contextmanager
def region(client: Any, byte_size: int) -> Iterator[tuple[str, Any]]:
    """A region of shared memory that the replica knows while inside: its name and its handle."""
    name = f"headrace-{uuid4().hex}"
    handle = memory.create_shared_memory_region(name, f"/{name}", byte_size)
    try:
        client.register_system_shared_memory(name, f"/{name}", byte_size)
        yield name, handle
    finally:
        client.unregister_system_shared_memory(name)
        memory.destroy_shared_memory_region(handle)


def inputs(wire: ModuleType, datatype: str = "INT32") -> list[Any]:
    """a and b without their values."""
    return [wire.InferInput(name, [1, 16], datatype) for name in ("a", "b")]


def outputs(wire: ModuleType) -> list[Any]:
    """Both outputs."""
    return [wire.InferRequestedOutput(name) for name in ("sum", "difference")]


@WIRES
def test_numbers_in_shared_memory(suite: Addresses, wire: ModuleType) -> None:
    """Inputs come from one region at their offsets, and outputs go to another."""
    with (
        client_of(wire, suite) as client,
        region(client, 2 * BYTES) as (given, given_handle),
        region(client, 2 * BYTES) as (taken, taken_handle),
    ):
        memory.set_shared_memory_region(given_handle, [NUMBERS, ONES])
        asked, wished = inputs(wire), outputs(wire)
        for tensor, offset in zip([*asked, *wished], [0, BYTES] * 2, strict=True):
            tensor.set_shared_memory(taken if tensor in wished else given, BYTES, offset=offset)
        result = client.infer("sums", asked, outputs=wished)

        assert result.get_output("sum")
        got = memory.get_contents_as_numpy(taken_handle, np.int32, [2, 16])
        assert np.array_equal(np.vstack([NUMBERS + ONES, NUMBERS - ONES]), got)


@WIRES
def test_texts_in_shared_memory(suite: Addresses, wire: ModuleType) -> None:
    """Texts lie in shared memory in their serialised form, both ways."""
    texts = np.array([[str(number).encode() for number in range(16)]], dtype=np.object_)
    packed = serialize_byte_tensor(texts)
    size = serialized_byte_size(packed)
    with (
        client_of(wire, suite) as client,
        region(client, size) as (given, given_handle),
        region(client, 4 * size) as (taken, taken_handle),
    ):
        memory.set_shared_memory_region(given_handle, [packed])
        asked, wished = inputs(wire, "BYTES"), outputs(wire)
        for tensor in asked:
            tensor.set_shared_memory(given, size)
        for at, tensor in enumerate(wished):
            tensor.set_shared_memory(taken, 2 * size, offset=at * 2 * size)
        client.infer("texts", asked, outputs=wished)

        got = memory.get_contents_as_numpy(taken_handle, np.object_, [16])
        assert [str(2 * number).encode() for number in range(16)] == list(got)


@WIRES
def test_the_same_objects_with_and_without_shared_memory(
    suite: Addresses, wire: ModuleType
) -> None:
    """A caller may give the same inputs and outputs by memory, then by value, then by memory again."""
    with (
        client_of(wire, suite) as client,
        region(client, BYTES) as (given, given_handle),
        region(client, BYTES) as (taken, taken_handle),
    ):
        asked, wished = inputs(wire), outputs(wire)[:1]
        asked[1].set_data_from_numpy(ONES)
        for turn in range(3):
            numbers = NUMBERS * (turn + 1)
            if turn == 1:
                asked[0].set_data_from_numpy(numbers)
                wished[0].unset_shared_memory()
                got = client.infer("sums", asked, outputs=wished).as_numpy("sum")
            else:
                memory.set_shared_memory_region(given_handle, [numbers])
                asked[0].set_shared_memory(given, BYTES)
                wished[0].set_shared_memory(taken, BYTES)
                client.infer("sums", asked, outputs=wished)
                got = memory.get_contents_as_numpy(taken_handle, np.int32, [1, 16])
            assert np.array_equal(numbers + ONES, got)


@WIRES
def test_what_is_registered(suite: Addresses, wire: ModuleType) -> None:
    """The replica tells which regions it knows, knows a name once, and forgets what is unregistered."""
    with client_of(wire, suite) as client:
        with region(client, 64) as (name, _):
            assert {name} == registered(client)
            with pytest.raises(InferenceServerException, match="already"):
                client.register_system_shared_memory(name, f"/{name}", 64)
        assert set() == registered(client)
        with region(client, 64), region(client, 64):
            client.unregister_system_shared_memory()
            assert set() == registered(client)


def registered(client: Any) -> set[str]:
    """The names of the regions that the replica knows."""
    status = client.get_system_shared_memory_status()
    if isinstance(status, list):
        return {entry["name"] for entry in status}
    return set(status.regions)


@WIRES
def test_memory_that_does_not_fit(suite: Addresses, wire: ModuleType) -> None:
    """Bytes beyond a region, or fewer than the tensor has, are the caller's mistake."""
    with client_of(wire, suite) as client, region(client, 2 * BYTES) as (given, handle):
        memory.set_shared_memory_region(handle, [NUMBERS, ONES])
        for size, offset in ((BYTES, 2 * BYTES), (BYTES // 2, 0), (BYTES, BYTES + 1)):
            asked = inputs(wire)
            asked[0].set_shared_memory(given, size, offset=offset)
            asked[1].set_shared_memory(given, BYTES, offset=BYTES)
            with pytest.raises(InferenceServerException) as caught:
                client.infer("sums", asked)
            assert caught.value.status() in {"StatusCode.INVALID_ARGUMENT", "400"}


async def test_asyncio_clients_with_shared_memory(suite: Addresses) -> None:
    """Calls of an asyncio client side by side, each with a region of its own, do not mix."""
    for module, address in (
        (tritonclient.grpc.aio, suite.grpc),
        (tritonclient.http.aio, suite.http),
    ):
        async with module.InferenceServerClient(address) as client:
            got = await asyncio.gather(*(_sum_in_memory(module, client, n) for n in (3, 5)))
        assert all(
            np.array_equal(NUMBERS * n + ONES, one) for n, one in zip((3, 5), got, strict=True)
        )


async def _sum_in_memory(module: ModuleType, client: Any, factor: int) -> Any:
    name = f"headrace-{uuid4().hex}"
    handle = memory.create_shared_memory_region(name, f"/{name}", 2 * BYTES)
    try:
        memory.set_shared_memory_region(handle, [NUMBERS * factor, ONES])
        await client.register_system_shared_memory(name, f"/{name}", 2 * BYTES)
        asked = inputs(module)
        for at, tensor in enumerate(asked):
            tensor.set_shared_memory(name, BYTES, offset=at * BYTES)
        result = await client.infer("sums", asked)
        await client.unregister_system_shared_memory(name)
        return result.as_numpy("sum")
    finally:
        memory.destroy_shared_memory_region(handle)


@pytest.mark.parametrize(
    ("name", "datatype", "field"),
    [
        ("sums", "INT32", "int_contents"),
        ("bytes", "INT8", "int_contents"),
        ("texts", "BYTES", "bytes_contents"),
    ],
)
def test_typed_contents_with_generated_stubs(
    suite: Addresses, name: str, datatype: str, field: str
) -> None:
    """A caller of the stubs that tritonclient ships may send typed contents, and reads raw ones."""
    request = service_pb2.ModelInferRequest(model_name=name, id="typed")
    for tensor in ("a", "b"):
        entry = request.inputs.add(name=tensor, datatype=datatype, shape=[1, 16])
        values = [str(n).encode() if datatype == "BYTES" else n for n in range(16)]
        getattr(entry.contents, field).extend(values)
    request.outputs.add(name="sum")
    with grpc.insecure_channel(suite.grpc) as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)

    assert ("typed", "sum") == (answer.id, answer.outputs[0].name)
    assert [2 * n for n in range(16)] == numbers_of(answer.raw_output_contents[0], datatype)


def numbers_of(raw: bytes, datatype: str) -> list[int]:
    """The numbers in raw contents."""
    if datatype == "BYTES":
        return [int(text) for text in deserialize_bytes_tensor(raw)]
    return list(np.frombuffer(raw, np.int8 if datatype == "INT8" else np.int32).tolist())
