"""A registry in this process with real sockets and a real server, real ONNX files, and how to push them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from headrace import errors, status
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2_grpc, version_pb2
from headrace_registry.adapters.shared_state.history_note import FOLDER
from headrace_registry.app import LOCK_NAME, open_registry
from headrace_registry.settings import Settings

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RunningRegistry:
    """A registry that serves, stubs of it, and what stops its watches."""

    stub: Any
    blocking_stub: Any
    channel: Any
    address: str
    http_address: str
    stopping: asyncio.Event
    settings: Settings

    def stored_files(self) -> set[str]:
        """The names of all files under the data folder, staging included, without lock and note."""
        files = {path for path in self.settings.data.rglob("*") if path.is_file()}
        return {path.name for path in files if path.parent.name != FOLDER} - {LOCK_NAME}


def settings(redis_url: str, namespace: str, data: Path, **changes: Any) -> Settings:
    """Settings for a registry of a test, on free ports."""
    base = Settings(
        redis_url=redis_url,
        namespace=namespace,
        data=data,
        grpc_port=0,
        http_port=0,
        drain_seconds=2.0,
    )
    return replace(base, **changes)


@asynccontextmanager
async def running_registry(
    redis_url: str, namespace: str, data: Path, **changes: Any
) -> AsyncIterator[RunningRegistry]:
    """A registry that serves while inside."""
    stopping = asyncio.Event()
    chosen = settings(redis_url, namespace, data, **changes)
    async with open_registry(chosen, stopping) as registry:
        async with grpc.aio.insecure_channel(registry.grpc_address) as channel:
            with grpc.insecure_channel(registry.grpc_address) as blocking_channel:
                yield RunningRegistry(
                    stub=registry_service_pb2_grpc.RegistryServiceStub(channel),
                    blocking_stub=registry_service_pb2_grpc.RegistryServiceStub(blocking_channel),
                    channel=channel,
                    address=registry.grpc_address,
                    http_address=registry.http_address,
                    stopping=stopping,
                    settings=chosen,
                )
        stopping.set()


async def push(
    running: RunningRegistry,
    artifact: bytes,
    *,
    model: str = "digits",
    filename: str = "model.onnx",
    header: Mapping[str, Any] | None = None,
) -> version_pb2.Version:
    """Push an artifact as it should be done; `header` changes what is announced.

    Over the blocking stack: grpc.aio's client loses the status of a call that ends while it still sends.
    """
    announced: dict[str, Any] = {
        "parent": f"models/{model}",
        "filename": filename,
        "size_bytes": len(artifact),
        "sha256": hashlib.sha256(artifact).hexdigest(),
        "create_model": True,
    } | dict(header or {})
    messages = push_messages(artifact, announced)
    call = running.blocking_stub.PushVersion.future(messages, timeout=60)
    version: version_pb2.Version = await _answer(call)
    return version


async def _answer(call: Any) -> Any:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    call.add_done_callback(lambda _: loop.call_soon_threadsafe(done.set))
    await done.wait()
    return call.result()


def push_messages(artifact: bytes, announced: Mapping[str, Any]) -> Iterator[pb.PushVersionRequest]:
    """The messages of a push."""
    yield pb.PushVersionRequest(header=pb.PushVersionRequest.Header(**announced))
    for start in range(0, len(artifact), CHUNK_BYTES):
        yield pb.PushVersionRequest(chunk=artifact[start : start + CHUNK_BYTES])


async def error_of(call: Any) -> errors.HeadraceError:
    """The error that a call fails with."""
    try:
        await call
    except grpc.RpcError as rpc_error:
        return status.error_from_rpc(rpc_error)
    raise AssertionError("the call did not fail")


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds, which nothing tells; fails after ten seconds."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.01)


async def read_blob(running: RunningRegistry, sha256: str, offset: int = 0) -> bytes:
    """A blob from an offset."""
    request = pb.ReadBlobRequest(sha256=sha256, offset=offset)
    return b"".join([part.chunk async for part in running.stub.ReadBlob(request, timeout=30)])


async def take_changes(call: Any, count: int) -> list[pb.WatchChangesResponse]:
    """The next changes of a watch."""
    return [await asyncio.wait_for(call.read(), 20) for _ in range(count)]


def onnx_file(
    bias: float = 1.0, batch: int | str | None = "batch", element: int = TensorProto.FLOAT
) -> bytes:
    """A graph that adds `bias` to rows of four numbers; different biases are different files."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "bias"], ["y"])],
        "add",
        [helper.make_tensor_value_info("x", element, [batch, 4])],
        [helper.make_tensor_value_info("y", element, [batch, 4])],
        [helper.make_tensor("bias", element, [1], [bias])],
    )
    return graph_file(graph)


def graph_file(graph: Any) -> bytes:
    """A graph as the bytes of an ONNX file."""
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    return bytes(model.SerializeToString())


def folding_graph(size: int, products: int) -> bytes:
    """A small file that keeps constant folding busy: a chain of products of large squares."""
    shape = numpy_helper.from_array(np.array([size, size], dtype=np.int64), "shape")
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["p0"])]
    nodes += [
        helper.make_node("MatMul", [f"p{step}", "p0"], [f"p{step + 1}"]) for step in range(products)
    ]
    nodes += [
        helper.make_node("ReduceMax", [f"p{products}"], ["most"], keepdims=0),
        helper.make_node("Add", ["x", "most"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "folding",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [shape],
    )
    return graph_file(graph)


def heavy_graph(megabytes: int) -> bytes:
    """A graph with weights of this size inside."""
    weights = numpy_helper.from_array(np.zeros((megabytes << 18,), dtype=np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "heavy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", megabytes << 18])],
        [weights],
    )
    return graph_file(graph)


def row_mixing_graph() -> bytes:
    """A graph that divides by sums over all rows."""
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["x"], ["y"], axis=0)],
        "mixing",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
    )
    return graph_file(graph)


def hit_counting_graph(*operators: str) -> bytes:
    """A graph of these operators, one after the other, whose output is declared with the batch's size."""
    names = ["x", *(f"y{place}" for place in range(len(operators) - 1)), "y"]
    nodes = [
        helper.make_node(
            operator, [names[place]], [names[place + 1]], **_ATTRIBUTES.get(operator, {})
        )
        for place, operator in enumerate(operators)
    ]
    element = TensorProto.INT64 if operators[0] == "NonZero" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "hits",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [
            helper.make_tensor_value_info(
                "y", element, ["batch", *([2] if "NonZero" in operators else [])]
            )
        ],
    )
    return graph_file(graph)


_ATTRIBUTES: dict[str, dict[str, Any]] = {"Cast": {"to": TensorProto.INT64}}


def sequence_graph() -> bytes:
    """A graph whose output is a sequence of tensors."""
    graph = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["x"], ["y"])],
        "sequence",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)],
    )
    return graph_file(graph)


def shapeless_graph() -> bytes:
    """A graph whose input declares no shape."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "shapeless",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    return graph_file(graph)


def header_bomb(megabytes: int) -> bytes:
    """A small tar.gz whose first header claims, and has, this many megabytes."""
    member = tarfile.TarInfo("bomb")
    member.type, member.size = tarfile.XHDTYPE, megabytes << 20
    return gzip.compress(member.tobuf()) + gzip.compress(bytes(1 << 20)) * (megabytes + 1)


def external_data_files(location: str = "weights.bin") -> dict[str, bytes]:
    """The files of a graph whose weights lie beside it."""
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4])
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "64"}.items():
        weights.external_data.append(onnx.StringStringEntryProto(key=key, value=value))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "external",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [weights],
    )
    return {"model.onnx": graph_file(graph), "weights.bin": b"\0\0\x80?" * 16}


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """Files as a zip archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tar_of(files: Mapping[str, bytes], mode: str = "w:gz", links: Mapping[str, str] = {}) -> bytes:
    """Files, and symbolic links by their targets, as a tar archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return packed.getvalue()
