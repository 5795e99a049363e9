"""A REST server over real versions on ONNX Runtime, for tests of the protocol's REST form."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import numpy as np
import onnx
import tritonclient.http as triton_http
from onnx import TensorProto, helper

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.service.http.server import open_http_server
from headrace.state.catalog import Catalog
from headrace.state.records import (
    AliasRecord,
    Batching,
    ModelRecord,
    ServingConfig,
    Signature,
    TensorSpec,
    VersionRecord,
)
from headrace.state.route_records import RouteRecord
from headrace_inference.adapters.loader import read_labels
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from headrace_inference.wire.openai.routes import add_openai_routes
from headrace_inference.wire.rest.routes import RestLimits, rest_app
from headrace_inference.wire.server_queries import ServerFacts

MAX_BODY_BYTES = 2**20
ECHO = "/v2/models/echo-FP32/infer"
GOOD: dict[str, Any] = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}]}
"""A request that the model of `echo(Datatype.FP32)` answers."""

SERVER_VERSION = "1.2.3"

ELEMENT_TYPES = {datatype: datatype.value for datatype in Datatype} | {
    Datatype.BYTES: "STRING",
    Datatype.FP16: "FLOAT16",
    Datatype.FP32: "FLOAT",
    Datatype.FP64: "DOUBLE",
    Datatype.BF16: "BFLOAT16",
}
"""ONNX's names of the protocol's datatypes."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Model:
    """A model to serve: its graph, and what the registry would know of it."""

    graph: onnx.ModelProto
    record: VersionRecord
    aliases: tuple[str, ...] = ("champion",)


def model(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    max_batch_size: int = 0,
) -> Model:
    """A model of these nodes."""
    graph = helper.make_graph(nodes, name, [_info(i) for i in inputs], [_info(o) for o in outputs])
    opset = [helper.make_opsetid("", 18)]
    proto = helper.make_model(graph, opset_imports=opset, ir_version=9)
    config = ServingConfig(batching=Batching(max_batch_size))
    signature = Signature(tuple(inputs), tuple(outputs))
    return Model(proto, VersionRecord(name, 1, "", (), "model.onnx", signature, config, 0.0))


def _info(spec: TensorSpec) -> onnx.ValueInfoProto:
    element_type = getattr(TensorProto, ELEMENT_TYPES[spec.datatype])
    shape = [None if size == -1 else size for size in spec.shape]
    return helper.make_tensor_value_info(spec.name, element_type, shape)


def echo(datatype: Datatype) -> Model:
    """A model `echo-DATATYPE` that answers y = x, of any length."""
    specs = [TensorSpec(name, datatype, (-1,)) for name in ("x", "y")]
    node = helper.make_node("Identity", ["x"], ["y"])
    return model(f"echo-{datatype}", [node], specs[:1], specs[1:])


def arithmetic() -> Model:
    """A model `arithmetic` that answers sum = a + b and product = a * b: FP32, rows of 4, batches to 8."""
    specs = [TensorSpec(n, Datatype.FP32, (-1, 4)) for n in ("a", "b", "sum", "product")]
    nodes = [
        helper.make_node("Add", ["a", "b"], ["sum"]),
        helper.make_node("Mul", ["a", "b"], ["product"]),
    ]
    return model("arithmetic", nodes, specs[:2], specs[2:], max_batch_size=8)


OpenModel = Callable[[Path, VersionRecord], Runner]


@dataclass
class FolderLoader:
    """Loads versions from a folder that has one file for each model."""

    folder: Path
    open_model: OpenModel

    async def load(self, record: VersionRecord) -> Runner:
        """The open model."""
        path = self.folder / f"{record.model}.onnx"
        return await asyncio.to_thread(self.open_model, path, record)

    async def open_in(self, folder: Path, record: VersionRecord) -> Runner:
        """The open model whose files are in a folder of its own."""
        runner = await asyncio.to_thread(self.open_model, folder / record.graph_path, record)
        runner.labels = read_labels(folder, record)
        return runner


@dataclass
class RestServer:
    """A running server."""

    address: str
    ingress: Ingress
    ready: bool = True

    def url(self, path: str) -> str:
        """The whole address of a path."""
        return f"http://{self.address}{path}"


@asynccontextmanager
async def open_rest_server(
    folder: Path,
    *models: Model,
    open_model: OpenModel = open_session,
    max_bytes_in_flight: int = 2**30,
) -> AsyncIterator[RestServer]:
    """These models, ready, on a server of their own while inside."""
    for served in models:
        onnx.save(served.graph, folder / f"{served.record.model}.onnx")
    book = StatisticsRegistry()
    reconciler = VersionReconciler(
        FolderLoader(folder, open_model), book, SYSTEM_CLOCK, max_loading=2
    )
    server = RestServer("", Ingress(reconciler, book))
    async with reconciler.running():
        reconciler.want(catalog_of(models))
        await wait_until_settled(reconciler)
        facts = ServerFacts(SERVER_VERSION, lambda: server.ready)
        limits = RestLimits(MAX_BODY_BYTES, max_bytes_in_flight)
        app = rest_app(server.ingress, facts, limits)
        add_openai_routes(app, server.ingress, facts)
        async with open_http_server(app, "127.0.0.1", 0) as port:
            server.address = f"127.0.0.1:{port}"
            yield server


def catalog_of(models: Sequence[Model]) -> Catalog:
    """A catalog in which version 1 of each is stable."""
    return Catalog(
        revision=1,
        models={
            served.record.model: ModelRecord(
                served.record.model,
                created_at=0.0,
                last_number=1,
                aliases={alias: AliasRecord(1, 0.0) for alias in served.aliases},
                route=RouteRecord(stable=1),
            )
            for served in models
        },
        versions={(served.record.model, 1): served.record for served in models},
    )


async def wait_until_settled(reconciler: VersionReconciler) -> None:
    """Wait until every version is ready, or has failed."""
    while not reconciler.settled():
        reconciler.changed.clear()
        await reconciler.changed.wait()


async def with_triton(
    server: RestServer, do: Callable[[triton_http.InferenceServerClient], Result]
) -> Result:
    """What Triton's own, blocking HTTP client gives, run in a thread."""

    def run() -> Result:
        with triton_http.InferenceServerClient(server.address) as client:
            return do(client)

    return await asyncio.to_thread(run)


class Http:
    """A plain HTTP client of one server."""

    def __init__(self, server: RestServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self._session = session

    async def get(self, path: str, verb: str = "GET") -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        async with self._session.request(verb, self.server.url(path)) as response:
            return response.status, await response.json()

    async def post(
        self, body: object, path: str = ECHO, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """The status and the JSON of an answer to a body: bytes as they are, all else as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = self.server.url(path)
        async with self._session.post(url, data=io.BytesIO(data), headers=headers) as response:
            return response.status, await response.json()

    async def post_for_bytes(self, body: bytes, path: str, headers: dict[str, str]) -> Any:
        """The whole answer and its bytes."""
        url = self.server.url(path)
        async with self._session.post(url, data=body, headers=headers) as response:
            return response, await response.read()


@asynccontextmanager
async def open_http(folder: Path, *models: Model, **options: Any) -> AsyncIterator[Http]:
    """A server of these models, or of echo-FP32, and a client of it."""
    served = models or (echo(Datatype.FP32),)
    async with (
        open_rest_server(folder, *served, **options) as server,
        aiohttp.ClientSession() as session,
    ):
        yield Http(server, session)


def samples(datatype: Datatype) -> np.ndarray[Any, Any]:
    """A few values of a datatype, its limits among them; those that are not finite apart."""
    dtype = NUMPY_DTYPES[datatype]
    if datatype is Datatype.BYTES:
        return np.array([b"", "grüße".encode(), b'\x00 \n"\\'], dtype=np.object_)
    if datatype is Datatype.BOOL:
        return np.array([True, False, True])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.array([limits.min, limits.max, 1], dtype=dtype)
    return np.array([0.1, -2.5, 3.0e4, 0.0], dtype=dtype)
