"""The RPCs of the Open Inference Protocol on grpc.aio: all of them, or all but ModelInfer's traffic."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from headrace.errors import Unavailable, Unimplemented
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace_inference.domain.dataplane import DataPlane
from headrace_inference.wire import convert
from headrace_inference.wire.answers import encode_answer
from headrace_inference.wire.contents import contents_of
from headrace_inference.wire.request_parser import RequestParser
from headrace_inference.wire.waiting import InferCall, WaitingRequests, deadline_ns

SERVICE_NAME = "inference.GRPCInferenceService"


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the RPCs about the server itself say: its version, and whether it is ready."""

    version: str
    is_ready: Callable[[], bool]


async def _not_offered(*_: Any) -> Any:
    raise Unimplemented(
        "METHOD_UNIMPLEMENTED",
        "this server does not offer this method; versions are loaded and unloaded by what the registry "
        "says: `headrace push`, `headrace route`, `headrace delete`",
    )


class InferenceServicer(pb_grpc.GRPCInferenceServiceServicer):
    """Decode, call, encode."""

    def __init__(self, dataplane: DataPlane, facts: ServerFacts) -> None:
        self._dataplane = dataplane
        self._facts = facts

    async def ServerLive(self, request: Any, context: Any) -> pb.ServerLiveResponse:
        """Whether the process answers."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: Any) -> pb.ServerReadyResponse:
        """Whether every wanted version is settled and requests are taken."""
        return pb.ServerReadyResponse(ready=self._facts.is_ready())

    async def ModelReady(self, request: Any, context: Any) -> pb.ModelReadyResponse:
        """Whether the version that these names lead to can be called here."""
        return pb.ModelReadyResponse(
            ready=model_ready(self._dataplane, request.name, request.version)
        )

    async def ServerMetadata(self, request: Any, context: Any) -> pb.ServerMetadataResponse:
        """Name, version, extensions."""
        return convert.server_metadata(self._facts.version)

    async def ModelMetadata(self, request: Any, context: Any) -> pb.ModelMetadataResponse:
        """What a version takes and gives."""
        return metadata_of(self._dataplane, request.name, request.version)

    async def ModelConfig(self, request: Any, context: Any) -> pb.ModelConfigResponse:
        """How a version is served."""
        served = self._dataplane.keeper.table.find(request.name, request.version)
        return pb.ModelConfigResponse(config=convert.model_config(served.record))

    async def ModelStatistics(self, request: Any, context: Any) -> pb.ModelStatisticsResponse:
        """What versions did."""
        return statistics_of(self._dataplane, request.name, request.version)

    async def RepositoryIndex(self, request: Any, context: Any) -> pb.RepositoryIndexResponse:
        """Which versions there are."""
        return convert.repository_index(self._dataplane.keeper.table, ready_only=request.ready)

    async def ModelStreamInfer(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """Not offered."""
        yield await _not_offered()

    RepositoryModelLoad = RepositoryModelUnload = _not_offered
    SystemSharedMemoryStatus = SystemSharedMemoryRegister = _not_offered
    SystemSharedMemoryUnregister = CudaSharedMemoryStatus = _not_offered
    CudaSharedMemoryRegister = CudaSharedMemoryUnregister = _not_offered
    TraceSetting = LogSettings = _not_offered


def model_ready(dataplane: DataPlane, name: str, version: str) -> bool:
    """Whether these names lead to a version that can be called. Raises NotFound for unknown ones."""
    try:
        dataplane.keeper.table.find(name, version)
    except Unavailable:
        return False
    return True


def metadata_of(dataplane: DataPlane, name: str, version: str) -> pb.ModelMetadataResponse:
    """The metadata of the version that these names lead to. Raises HeadraceError."""
    table = dataplane.keeper.table
    record = table.find(name, version).record
    ready = sorted(number for model, number in table.ready if model == record.model)
    return convert.model_metadata(record, ready)


def statistics_of(dataplane: DataPlane, name: str, version: str) -> pb.ModelStatisticsResponse:
    """The statistics of one version, of all of a model's, or of all. Raises HeadraceError."""
    items = dataplane.book.items()
    if not name:
        return convert.model_statistics(items)
    if version or "@" in name:
        key = _key(dataplane, name, version)
        return convert.model_statistics([(key, dataplane.book.of(*key))])
    table = dataplane.keeper.table
    if name not in table.catalog.models:
        raise table.explain(name, version)
    return convert.model_statistics([item for item in items if item[0][0] == name])


def _key(dataplane: DataPlane, name: str, version: str) -> tuple[str, int]:
    record = dataplane.keeper.table.find(name, version).record
    return record.model, record.number


class InferHandler:
    """ModelInfer on grpc.aio, bytes to bytes, so that both fronts read requests with the same code."""

    def __init__(self, dataplane: DataPlane) -> None:
        self._requests = WaitingRequests(dataplane)
        self._parser = RequestParser()

    async def infer(self, payload: bytes, context: Any) -> bytes:
        """Answer one request."""
        received = time.monotonic_ns()
        parsed = self._parser.parse(payload)
        head = parsed.head
        call = InferCall(
            head.model_name,
            head.model_version,
            head.inputs,
            head.outputs,
            lambda: contents_of(parsed),
            received,
            deadline_ns(context.time_remaining()),
        )
        answer = await self._requests.infer(call)
        pending = answer.pending
        return encode_answer(answer.served, pending.plan, pending.route, answer.outputs, parsed.id)


def register(server: grpc.aio.Server, dataplane: DataPlane, facts: ServerFacts) -> None:
    """Add every RPC of the protocol to a server."""
    servicer = InferenceServicer(dataplane, facts)
    table = _MethodTable(server, InferHandler(dataplane))
    pb_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, table)


class _MethodTable:
    """Takes the generated table of methods, puts the bytes-to-bytes ModelInfer in, and adds it."""

    def __init__(self, server: grpc.aio.Server, infer: InferHandler) -> None:
        self._server = server
        self._infer = infer

    def add_generic_rpc_handlers(self, _: Any) -> None:
        """The same table in its other form; one is enough."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """The table, by method name."""
        handlers["ModelInfer"] = grpc.unary_unary_rpc_method_handler(self._infer.infer)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, handlers),)
        )
