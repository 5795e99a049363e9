"""The RPCs of the Open Inference Protocol on grpc.aio: all of them, or all but ModelInfer's traffic."""

from __future__ import annotations

import asyncio

import grpc
from google.protobuf.message import Message

from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.inference.v1 import generation_service_pb2_grpc
from headrace.security.access import Access
from headrace.service.grpc_admission import Gate
from headrace.service.method_table import Methods, with_methods_changed
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.wire.codec import messages
from headrace_inference.wire.grpc import generation_servicer
from headrace_inference.wire.grpc.generation_servicer import GenerationServicer
from headrace_inference.wire.grpc.infer_handler import InferHandler
from headrace_inference.wire.grpc.streaming import StreamHandler
from headrace_inference.wire.server_queries import ServerFacts, config_of, metadata_of
from headrace_inference.wire.shared_control import control_of
from headrace_inference.wire.sight import seen_index, seen_statistics
from headrace_inference.wire.streams.session import StreamService

SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
SERVICES = (SERVICE, generation_servicer.SERVICE)
INFERRING = (f"/{SERVICE.full_name}/ModelInfer", f"/{SERVICE.full_name}/ModelStreamInfer")
"""The methods whose requests are counted by version."""


Context = grpc.aio.ServicerContext[Message, Message]
"""Of a call; no method of this servicer looks at it."""


class InferenceServicer(pb_grpc.GRPCInferenceServiceServicer):
    """Decode, call, encode."""

    def __init__(self, ingress: Ingress, facts: ServerFacts, access: Access) -> None:
        self._ingress = ingress
        self._facts = facts
        self._access = access
        self._control = control_of(ingress, facts)

    async def ServerLive(
        self, request: pb.ServerLiveRequest, context: Context
    ) -> pb.ServerLiveResponse:
        """Say that the process answers."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(
        self, request: pb.ServerReadyRequest, context: Context
    ) -> pb.ServerReadyResponse:
        """Say whether every wanted version is settled and requests are taken."""
        return pb.ServerReadyResponse(ready=self._facts.is_ready())

    async def ModelReady(
        self, request: pb.ModelReadyRequest, context: Context
    ) -> pb.ModelReadyResponse:
        """Say whether the version that these names lead to can be called here."""
        return pb.ModelReadyResponse(
            ready=await self._control.model_ready(request.name, request.version)
        )

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: Context
    ) -> pb.ServerMetadataResponse:
        """Name, version, extensions."""
        return messages.server_metadata(
            self._facts.name,
            self._facts.version,
            shared_memory=self._ingress.regions.allowed,
        )

    async def ModelMetadata(
        self, request: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        """Describe the inputs and outputs of a version."""
        return metadata_of(self._ingress, request.name, request.version)

    async def ModelConfig(
        self, request: pb.ModelConfigRequest, context: Context
    ) -> pb.ModelConfigResponse:
        """Describe how a version is served."""
        config = config_of(self._ingress, request.name, request.version)
        return pb.ModelConfigResponse(config=config)

    async def ModelStatistics(
        self, request: pb.ModelStatisticsRequest, context: Context
    ) -> pb.ModelStatisticsResponse:
        """Report the statistics of versions."""
        statistics = await self._control.statistics(request.name, request.version)
        return statistics if request.name else seen_statistics(self._access, statistics)

    async def RepositoryIndex(
        self, request: pb.RepositoryIndexRequest, context: Context
    ) -> pb.RepositoryIndexResponse:
        """List the versions."""
        index = await self._control.index(ready_only=request.ready)
        return await asyncio.to_thread(seen_index, self._access, index)

    async def SystemSharedMemoryStatus(
        self, request: pb.SystemSharedMemoryStatusRequest, context: Context
    ) -> pb.SystemSharedMemoryStatusResponse:
        """List the registered regions of the system's memory."""
        return messages.system_regions(self._ingress.regions.status(request.name))

    async def SystemSharedMemoryRegister(
        self, request: pb.SystemSharedMemoryRegisterRequest, context: Context
    ) -> pb.SystemSharedMemoryRegisterResponse:
        """Make a region known."""
        await self._control.register_system(
            request.name, request.key, request.offset, request.byte_size
        )
        return pb.SystemSharedMemoryRegisterResponse()

    async def SystemSharedMemoryUnregister(
        self, request: pb.SystemSharedMemoryUnregisterRequest, context: Context
    ) -> pb.SystemSharedMemoryUnregisterResponse:
        """Forget a region, or all."""
        await self._control.unregister(request.name)
        return pb.SystemSharedMemoryUnregisterResponse()

    async def CudaSharedMemoryStatus(
        self, request: pb.CudaSharedMemoryStatusRequest, context: Context
    ) -> pb.CudaSharedMemoryStatusResponse:
        """List the registered regions of devices' memory."""
        return messages.device_regions(self._ingress.regions.status(request.name, device=True))

    async def CudaSharedMemoryRegister(
        self, request: pb.CudaSharedMemoryRegisterRequest, context: Context
    ) -> pb.CudaSharedMemoryRegisterResponse:
        """Make a device's memory known."""
        handle, device_id = request.raw_handle, request.device_id
        await self._control.register_device(request.name, handle, device_id, request.byte_size)
        return pb.CudaSharedMemoryRegisterResponse()

    async def CudaSharedMemoryUnregister(
        self, request: pb.CudaSharedMemoryUnregisterRequest, context: Context
    ) -> pb.CudaSharedMemoryUnregisterResponse:
        """Forget a device's memory, or all."""
        await self._control.unregister(request.name, device=True)
        return pb.CudaSharedMemoryUnregisterResponse()

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        """Load a model that the caller brings, or that was unloaded."""
        await self._control.load(messages.load_request(request))
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        """Unload a model."""
        await self._control.unload(messages.unloaded_name(request))
        return pb.RepositoryModelUnloadResponse()

    async def TraceSetting(
        self, request: pb.TraceSettingRequest, context: Context
    ) -> pb.TraceSettingResponse:
        """Change which requests are traced, and say which are."""
        changes = messages.trace_changes(request)
        return messages.trace_settings(await self._control.trace(request.model_name, changes))

    async def LogSettings(
        self, request: pb.LogSettingsRequest, context: Context
    ) -> pb.LogSettingsResponse:
        """Change which log records are made, and say which are."""
        return messages.log_settings(await self._control.log(messages.log_changes(request)))


def register(
    server: grpc.aio.Server,
    ingress: Ingress,
    facts: ServerFacts,
    streams: StreamService,
    gate: Gate,
) -> None:
    """Add every RPC of the protocol, and those for text, to a server.

    What its `gate` does not look at is looked at here.
    """
    servicer = InferenceServicer(ingress, facts, gate.access)
    infer = InferHandler(ingress, gate.certificate_of)
    stream = StreamHandler(streams, gate.certificate_of).stream
    raw: Methods = {
        "ModelInfer": grpc.unary_unary_rpc_method_handler(infer.infer),
        "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(stream),
    }
    table = with_methods_changed(server, lambda methods: methods | raw)
    pb_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, table)
    generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(
        GenerationServicer(ingress, gate.certificate_of), server
    )
