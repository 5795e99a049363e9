"""A replica's gRPC port over real versions on ONNX Runtime, for tests of the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx

from headrace import status
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.security.access import OPEN_ACCESS, Access
from headrace.security.verifications import MAX_WAITING, Verifications
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.adapters.telemetry import TelemetryBuffer
from headrace_inference.app.limits import ingress_limits
from headrace_inference.app.memory import region_table
from headrace_inference.app.models import Loads, open_models
from headrace_inference.app.readiness import AlwaysReady
from headrace_inference.app.sampling import open_sampling
from headrace_inference.app.servers import open_fronts
from headrace_inference.app.tracing import open_tracer
from headrace_inference.domain.ingress.callers import Callers
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.reconciliation.load_slots import LoadPlaces
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from headrace_inference.settings import Settings
from tests.rpc.rest_fixtures import FolderLoader, Model, OpenModel, catalog_of, wait_until_settled

FRONTS = ("native", "grpcio")


@dataclass
class GrpcReplica:
    """A running replica: its ports, and a stub of its gRPC port."""

    grpc_address: str
    http_address: str
    metrics_address: str
    stub: Any
    ingress: Ingress
    stopping: asyncio.Event


@asynccontextmanager
async def open_grpc_replica(
    folder: Path,
    *models: Model,
    open_model: OpenModel = open_session,
    access: Access = OPEN_ACCESS,
    max_new_tokens: int = MAX_WAITING,
    reports: TelemetryBuffer | None = None,
    **options: Any,
) -> AsyncIterator[GrpcReplica]:
    """These models, ready, behind the fronts that these settings ask for, while inside.

    Profiles of what they were asked go to `reports`, the last of them at the end.
    """
    for served in models:
        onnx.save(served.graph, folder / f"{served.record.model}.onnx")
    settings = replace(_settings(folder), **options)
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        book = StatisticsRegistry()
        tracer = stack.enter_context(open_tracer(settings, access))
        loader = FolderLoader(folder, open_model)
        loads = Loads(loader, LoadPlaces(settings.max_loading))
        sampler = stack.enter_context(open_sampling(settings, reports))
        held = await stack.enter_async_context(open_models(settings, loads, book, sampler))
        reconciler = held.reconciler
        held.want(catalog_of(models))
        await wait_until_settled(reconciler)
        verifications = Verifications(access, max_new_tokens)
        stack.enter_context(verifications.running())
        ingress = Ingress(
            reconciler,
            book,
            region_table(settings),
            tracer,
            ingress_limits(settings),
            Callers(SYSTEM_CLOCK, access, verifications.ask),
        )
        fronts = await open_fronts(stack, settings, ingress, AlwaysReady(), stopping, held.control)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(fronts.grpc_address))
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        yield GrpcReplica(
            fronts.grpc_address,
            fronts.http_address,
            fronts.metrics_address,
            stub,
            ingress,
            stopping,
        )


def _settings(folder: Path) -> Settings:
    settings = Settings(redis_url="redis://unused", registry_address="unused", data=folder)
    return replace(settings, grpc_port=0, http_port=0, metrics_port=0, drain_seconds=1.0)


def request(
    model: str, values: np.ndarray[Any, Any], datatype: str = "FP32", request_id: str = ""
) -> Any:
    """A request of the one input x."""
    message = pb.ModelInferRequest(model_name=model, id=request_id)
    message.inputs.add(name="x", datatype=datatype, shape=values.shape)
    message.raw_input_contents.append(values.tobytes())
    return message


async def failure_of(call: Any) -> tuple[str, str, str]:
    """The status, the reason and the message that a call fails with; OK where it does not."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        known = status.error_from_rpc(error)
        return error.code().name, known.reason, known.message
    return "OK", "", ""
