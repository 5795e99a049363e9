"""Outputs as classes and in shared memory, over both fronts, streams and REST, by Triton's own clients."""

from __future__ import annotations

import asyncio
import os
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException, serialize_byte_tensor, shared_memory

from headrace.datatypes import Datatype
from headrace.state.records import VersionRecord
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.adapters.system_memory import FOLDER
from headrace_inference.domain.scheduling.runner import Runner
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import arithmetic, echo

needs_shared_memory = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs POSIX shared memory")
X = np.array([3.5, -1.0, 3.5, 7.25], np.float32)
LABELS = [b"cat", b"dog", b"eel"]


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


def labelled(path: Path, record: VersionRecord) -> Runner:
    """A version whose outputs have labels."""
    runner = open_session(path, record)
    runner.labels = {"y": LABELS}
    return runner


@asynccontextmanager
async def opened(folder: Path, front: str, **options: Any) -> AsyncIterator[GrpcReplica]:
    """A replica with an echo of FP32, one of BYTES, and rows to add and multiply."""
    models = (echo(Datatype.FP32), echo(Datatype.BYTES), echo(Datatype.BOOL), arithmetic())
    options = {"allow_client_shared_memory": True} | options
    async with open_grpc_replica(
        folder, *models, open_model=labelled, front=front, **options
    ) as replica:
        yield replica


def client_of(replica: GrpcReplica, module: Any) -> Any:
    """Triton's gRPC or HTTP client of a replica."""
    http = module is triton_http
    return module.InferenceServerClient(replica.http_address if http else replica.grpc_address)


def echoed(module: Any, values: Any = X) -> Any:
    """The input of an echo."""
    datatype = "BYTES" if values.dtype == np.object_ else "FP32"
    given = module.InferInput("x", list(values.shape), datatype)
    given.set_data_from_numpy(values)
    return given


async def test_classes_of_an_output(tmp_path: Path, front: str) -> None:
    """Both of Triton's clients get texts of the best values, with labels where there are some."""

    def ask(module: Any) -> Any:
        with client_of(replica, module) as client:
            wanted = module.InferRequestedOutput("y", class_count=3)
            return client.infer("echo-FP32", [echoed(module)], outputs=[wanted]).as_numpy("y")

    async with opened(tmp_path, front) as replica:
        answers = [await asyncio.to_thread(ask, module) for module in (triton_grpc, triton_http)]

    expected = [b"7.250000:3", b"3.500000:0:cat", b"3.500000:2:eel"]
    assert [expected, expected] == [answer.tolist() for answer in answers]


async def test_classes_of_each_row_of_a_batch(tmp_path: Path, front: str) -> None:
    """A batching model has classes for each row; other outputs of the request stay values."""
    rows = np.array([[1, 2, 3, 4], [4, 3, 2, 1]], np.float32)

    def ask() -> Any:
        with client_of(replica, triton_grpc) as client:
            inputs = [triton_grpc.InferInput(name, [2, 4], "FP32") for name in ("a", "b")]
            for each in inputs:
                each.set_data_from_numpy(rows)
            wanted = [
                triton_grpc.InferRequestedOutput("product"),
                triton_grpc.InferRequestedOutput("sum", class_count=2),
            ]
            return client.infer("arithmetic", inputs, outputs=wanted)

    async with opened(tmp_path, front) as replica:
        answer = await asyncio.to_thread(ask)

    expected = [[b"8.000000:3", b"6.000000:2"], [b"8.000000:0", b"6.000000:1"]]
    assert expected == answer.as_numpy("sum").tolist()
    np.testing.assert_array_equal(rows * rows, answer.as_numpy("product"))


@pytest.mark.parametrize(
    ("model", "classes", "reason"),
    [
        ("echo-BYTES", 1, "CLASSIFICATION_DATATYPE"),
        ("echo-BOOL", 1, "CLASSIFICATION_DATATYPE"),
        ("echo-FP32", 0, "PARAMETER_INVALID"),
        ("echo-FP32", -1, "PARAMETER_INVALID"),
    ],
)
async def test_classes_that_cannot_be(
    tmp_path: Path, front: str, model: str, classes: int, reason: str
) -> None:
    """Datatypes without an order, and counts that are none, are the caller's error."""
    message = request(model, X[:1].view(np.uint8)[:1], model.removeprefix("echo-"))
    message.outputs.add(name="y").parameters["classification"].int64_param = classes
    async with opened(tmp_path, front) as replica:
        failure = await failure_of(replica.stub.ModelInfer(message))

    assert ("INVALID_ARGUMENT", reason) == failure[:2]


async def test_too_many_classes_fail_alone_and_count_as_a_failure(
    tmp_path: Path, front: str
) -> None:
    """What turns out after the run fails its request, and statistics say that it failed."""
    large = request("echo-FP32", np.zeros(1_000_001, np.float32))
    large.outputs.add(name="y").parameters["classification"].int64_param = 1
    async with opened(tmp_path, front) as replica:
        failure = await failure_of(replica.stub.ModelInfer(large))
        totals = replica.ingress.book.of("echo-FP32", 1).totals()

    assert ("INVALID_ARGUMENT", "CLASSIFICATION_TOO_LARGE") == failure[:2]
    assert (0, 1) == (totals.successes, totals.errors["CLASSIFICATION_TOO_LARGE"])


class Memory:
    """Two regions of shared memory that a client made: one with an input, one for an output."""

    def __init__(self, size: int) -> None:
        self.name = f"headrace-{uuid4().hex}"
        self.size = size
        self.keys = {end: f"/{self.name}-{end}" for end in ("in", "out")}
        self.handles = {
            end: shared_memory.create_shared_memory_region(f"{self.name}-{end}", key, size)
            for end, key in self.keys.items()
        }

    def put(self, values: Any) -> None:
        """Write an input."""
        shared_memory.set_shared_memory_region(self.handles["in"], [values])

    def result(self, dtype: Any, shape: list[int]) -> Any:
        """Read the output."""
        return shared_memory.get_contents_as_numpy(self.handles["out"], dtype, shape).copy()

    def register(self, client: Any) -> None:
        """Make both known to a server."""
        for end, key in self.keys.items():
            client.register_system_shared_memory(f"{self.name}-{end}", key, self.size)

    def input(self, module: Any, shape: list[int], datatype: str, size: int) -> Any:
        """An input that lies in the memory."""
        given = module.InferInput("x", shape, datatype)
        given.set_shared_memory(f"{self.name}-in", size)
        return given

    def output(self, module: Any, size: int) -> Any:
        """An output that is to go there."""
        wanted = module.InferRequestedOutput("y")
        wanted.set_shared_memory(f"{self.name}-out", size)
        return wanted


@contextmanager
def memory(size: int = 64) -> Iterator[Memory]:
    """Regions that exist while inside."""
    both = Memory(size)
    try:
        yield both
    finally:
        for handle in both.handles.values():
            shared_memory.destroy_shared_memory_region(handle)


@needs_shared_memory
@pytest.mark.parametrize("module", [triton_grpc, triton_http], ids=["grpc", "http"])
async def test_tensors_in_shared_memory(tmp_path: Path, front: str, module: Any) -> None:
    """Inputs are taken from registered memory and outputs put there, over gRPC and REST."""

    def ask() -> tuple[Any, Any, Any]:
        with client_of(replica, module) as client, memory() as both:
            both.put(X)
            both.register(client)
            inputs = [both.input(module, [4], "FP32", 16)]
            result = client.infer("echo-FP32", inputs, outputs=[both.output(module, 64)])
            status = client.get_system_shared_memory_status()
            client.unregister_system_shared_memory()
            after = client.get_system_shared_memory_status()
            regions = [status.regions, after.regions] if module is triton_grpc else [status, after]
            return both.result(np.float32, [4]), result.get_output("y"), list(map(len, regions))

    async with opened(tmp_path, front) as replica:
        values, output, regions = await asyncio.to_thread(ask)

    np.testing.assert_array_equal(X, values)
    assert [2, 0] == regions
    if module is triton_grpc:
        assert 16 == output.parameters["shared_memory_byte_size"].int64_param
    else:
        assert {"name": "y", "datatype": "FP32", "shape": [4]} == output


@needs_shared_memory
@pytest.mark.parametrize("module", [triton_grpc, triton_http], ids=["grpc", "http"])
async def test_what_is_read_from_shared_memory_counts_as_what_is_sent(
    tmp_path: Path, front: str, module: Any
) -> None:
    """A short message that names large memory is held to the limits of large messages."""
    limits = {"max_bytes_in_flight": 50_000, "max_http_bytes_in_flight": 50_000}

    def ask() -> tuple[str, Any]:
        with client_of(replica, module) as client, memory(60_000) as both:
            both.register(client)
            with pytest.raises(InferenceServerException) as refused:
                client.infer("echo-FP32", [both.input(module, [15_000], "FP32", 60_000)])
            return refused.value.message(), client.infer("echo-FP32", [echoed(module)])

    async with opened(tmp_path, front, **limits) as replica:
        message, answer = await asyncio.to_thread(ask)

    assert "it holds at most" in message
    np.testing.assert_array_equal(X, answer.as_numpy("y"))


@needs_shared_memory
async def test_texts_in_shared_memory(tmp_path: Path, front: str) -> None:
    """BYTES have the same form there as in messages."""
    texts = np.array([b"one", b"", "drüben".encode()], np.object_)

    def ask() -> Any:
        with client_of(replica, triton_grpc) as client, memory() as both:
            encoded = serialize_byte_tensor(texts)
            both.put(encoded)
            both.register(client)
            size = len(encoded.item())
            inputs = [both.input(triton_grpc, [3], "BYTES", size)]
            outputs = [both.output(triton_grpc, 64)]
            client.infer("echo-BYTES", inputs, outputs=outputs)
            return both.result(np.object_, [3])

    async with opened(tmp_path, front) as replica:
        values = await asyncio.to_thread(ask)

    assert texts.tolist() == values.tolist()


@needs_shared_memory
async def test_streamed_tensors_in_shared_memory(tmp_path: Path, front: str) -> None:
    """Streams use it, too."""

    def ask() -> Any:
        results: queue.Queue[Any] = queue.Queue()
        with client_of(replica, triton_grpc) as client, memory() as both:
            both.put(X)
            both.register(client)
            client.start_stream(lambda result, error: results.put(error or result))
            inputs = [both.input(triton_grpc, [4], "FP32", 16)]
            client.async_stream_infer("echo-FP32", inputs, outputs=[both.output(triton_grpc, 16)])
            assert not isinstance(results.get(timeout=20), Exception)
            client.stop_stream()
            return both.result(np.float32, [4])

    async with opened(tmp_path, front) as replica:
        np.testing.assert_array_equal(X, await asyncio.to_thread(ask))


@needs_shared_memory
async def test_only_what_is_not_in_shared_memory_is_in_the_message(
    tmp_path: Path, front: str
) -> None:
    """raw_input_contents has no entry for an input that is elsewhere."""

    def ask() -> Any:
        with client_of(replica, triton_grpc) as client, memory() as both:
            both.put(X)
            both.register(client)
            shared = triton_grpc.InferInput("a", [1, 4], "FP32")
            shared.set_shared_memory(f"{both.name}-in", 16)
            sent = triton_grpc.InferInput("b", [1, 4], "FP32")
            sent.set_data_from_numpy(2 * X.reshape(1, 4))
            return [
                client.infer("arithmetic", inputs).as_numpy("sum")
                for inputs in ([shared, sent], [sent, shared])
            ]

    async with opened(tmp_path, front) as replica:
        answers = await asyncio.to_thread(ask)

    for answer in answers:
        np.testing.assert_array_equal(3 * X.reshape(1, 4), answer)


Change = Callable[[Memory, Any], tuple[Any, Any]]


def _unknown_region(both: Memory, module: Any) -> tuple[Any, Any]:
    both.name = "unknown"
    return both.input(module, [4], "FP32", 16), both.output(module, 64)


def _wrong_size(both: Memory, module: Any) -> tuple[Any, Any]:
    return both.input(module, [4], "FP32", 20), both.output(module, 64)


def _outside(both: Memory, module: Any) -> tuple[Any, Any]:
    given = module.InferInput("x", [4], "FP32")
    given.set_shared_memory(f"{both.name}-in", 16, 49)
    return given, both.output(module, 64)


def _overflow(both: Memory, module: Any) -> tuple[Any, Any]:
    given = module.InferInput("x", [4], "FP32")
    given.set_shared_memory(f"{both.name}-in", 16, 2**63 - 1)
    return given, both.output(module, 64)


def _output_too_small(both: Memory, module: Any) -> tuple[Any, Any]:
    return both.input(module, [4], "FP32", 16), both.output(module, 15)


def _output_outside(both: Memory, module: Any) -> tuple[Any, Any]:
    return both.input(module, [4], "FP32", 16), both.output(module, 65)


def _shrunk(both: Memory, module: Any) -> tuple[Any, Any]:
    os.truncate(FOLDER / both.keys["in"].strip("/"), 8)
    return both.input(module, [4], "FP32", 16), both.output(module, 64)


def _output_shrunk(both: Memory, module: Any) -> tuple[Any, Any]:
    os.truncate(FOLDER / both.keys["out"].strip("/"), 8)
    return both.input(module, [4], "FP32", 16), both.output(module, 64)


CALLERS_MISTAKES = {"StatusCode.INVALID_ARGUMENT", "StatusCode.NOT_FOUND", "400", "404"}


@needs_shared_memory
@pytest.mark.parametrize("module", [triton_grpc, triton_http], ids=["grpc", "http"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_unknown_region, "Unable to find shared memory region"),
        (_wrong_size, "input byte size mismatch"),
        (_outside, "Invalid offset"),
        (_overflow, "Invalid offset"),
        (_output_too_small, "shared memory size specified with the request for output"),
        (_output_outside, "Invalid offset"),
        (_shrunk, "is not what it was"),
        (_output_shrunk, "is not what it was"),
    ],
)
async def test_what_is_wrong_with_memory_fails_one_request(
    tmp_path: Path, module: Any, change: Change, expected: str
) -> None:
    """The caller gets the reason, and the next request is served."""

    def ask() -> tuple[InferenceServerException, Any]:
        with client_of(replica, module) as client, memory() as both:
            both.put(X)
            both.register(client)
            given, wanted = change(both, module)
            with pytest.raises(InferenceServerException, match=expected) as caught:
                client.infer("echo-FP32", [given], outputs=[wanted])
            return caught.value, client.infer("echo-FP32", [echoed(module)]).as_numpy("y")

    async with opened(tmp_path, "native") as replica:
        error, values = await asyncio.to_thread(ask)

    assert error.status() in CALLERS_MISTAKES
    np.testing.assert_array_equal(X, values)


async def test_shared_memory_is_off_by_default(tmp_path: Path, front: str) -> None:
    """Registering and using it are refused with the setting's name."""
    message = request("echo-FP32", X)
    message.ClearField("raw_input_contents")
    message.inputs[0].parameters["shared_memory_region"].string_param = "r"
    message.inputs[0].parameters["shared_memory_byte_size"].int64_param = 16
    register = replace_kinds()
    async with opened(tmp_path, front, allow_client_shared_memory=False) as replica:
        failures = [
            await failure_of(replica.stub.ModelInfer(message)),
            await failure_of(replica.stub.SystemSharedMemoryRegister(register)),
        ]

    assert [("UNIMPLEMENTED", "SHARED_MEMORY_DISABLED")] * 2 == [each[:2] for each in failures]


def replace_kinds() -> Any:
    """A registration that would be right."""
    from headrace.inference import grpc_service_pb2 as pb

    return pb.SystemSharedMemoryRegisterRequest(name="r", key="/k", byte_size=8)


async def test_labels_come_from_the_files_of_a_version(tmp_path: Path) -> None:
    """The model's config names the label file of an output."""
    from headrace.state.records import ArtifactFile
    from headrace_inference.wire.codec.messages import model_config

    files = (ArtifactFile("m/y.labels.txt", 1, ""), ArtifactFile("labels.txt", 1, ""))
    record = replace(echo(Datatype.FP32).record, graph_path="m/model.onnx", files=files)

    assert "m/y.labels.txt" == model_config(record).output[0].label_filename
