"""A gateway in this process, with a real Envoy, before a real registry and real replicas."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import grpc
import numpy as np

from headrace.gateway.app import Gateway, open_gateway
from headrace.gateway.settings import Settings
from headrace.gateway.settings_file import read_settings
from headrace.inference import grpc_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2, replica_pb2
from headrace.tls.authority import Authority, Issued, Names
from headrace_inference.app import Replica
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    onnx_file,
    push,
    running_registry,
)
from tests.rpc.replica_fixtures import running_replica

INFER = "/inference.GRPCInferenceService/ModelInfer"
MODEL = "add"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Served:
    """What serves: the gateway, and what is behind it."""

    gateway: Gateway
    registry: RunningRegistry
    replica: Replica
    folder: Path

    @property
    def address(self) -> str:
        """The gateway's address for callers."""
        return self.gateway.address

    @property
    def url(self) -> str:
        """The same for REST."""
        return f"http://{self.address}"

    @property
    def channel(self) -> grpc.aio.Channel:
        """A new channel to it, in plaintext."""
        return grpc.aio.insecure_channel(self.address)

    async def headers_of(self, request_id: str) -> dict[str, str]:
        """The headers with which a request came to the replica, from the replica's trace of it."""
        traces = self.folder / "traces"
        async with asyncio.timeout(10):
            while True:
                text = traces.read_text() if traces.exists() else ""
                for line in text.rpartition("\n")[0].splitlines():
                    trace = json.loads(line)
                    if trace.get("parameters", {}).get("x-request-id") == request_id:
                        headers: dict[str, str] = trace["parameters"]
                        return headers
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running_gateway(registry: str, folder: Path, **more: Any) -> AsyncIterator[Gateway]:
    """A gateway that serves while inside."""
    given: dict[str, Any] = {"port": 0, "http_port": 0, "workers": 1, "drain_seconds": 0.0}
    settings = Settings(registry_address=registry, data=folder, **given | more)
    flags = [f"--registry-address={registry}", f"--settings-file={settings.settings_file}"]
    read_again = partial(read_settings, [*flags, "--workers=1"], {})
    async with open_gateway(settings, asyncio.Event(), read_again) as gateway:
        yield gateway


@asynccontextmanager
async def served(
    redis_url: str,
    folder: Path,
    replica: Mapping[str, Any] = MappingProxyType({}),
    **more: Any,
) -> AsyncIterator[Served]:
    """A gateway before one replica that serves a model, while inside; the registry is in plaintext."""
    namespace = f"gateway-{uuid4().hex[:8]}"
    async with running_registry(redis_url, namespace, folder / "registry") as registry:
        await push(registry, onnx_file(), model=MODEL)
        opening = running_replica(
            redis_url,
            folder / "replica",
            registry.address,
            namespace=namespace,
            trace_file=folder / "traces",
            trace_level=("TIMESTAMPS",),
            trace_rate=1,
            grpc_header_forward_pattern=".*",
            http_header_forward_pattern=".*",
            **replica,
        )
        async with opening as opened:
            await until_told(registry)
            address = f"grpc://{registry.address}"
            async with running_gateway(address, folder / "gateway", **more) as gateway:
                yield Served(gateway, registry, opened, folder)


async def until_told(registry: RunningRegistry) -> None:
    """Wait until the registry knows a replica that is ready."""
    async with asyncio.timeout(20):
        while True:
            told = await registry.stub.ListReplicas(registry_service_pb2.ListReplicasRequest())
            if any(one.stage == replica_pb2.REPLICA_STAGE_READY for one in told.replicas):
                return
            await asyncio.sleep(0.02)


def request(rows: int = 1, model: str = MODEL) -> pb.ModelInferRequest:
    """A request of so many rows."""
    message = pb.ModelInferRequest(model_name=model)
    message.inputs.add(name="x", datatype="FP32", shape=[rows, 4])
    message.raw_input_contents.append(np.ones((rows, 4), np.float32).tobytes())
    return message


def infer(channel: grpc.aio.Channel) -> Any:
    """The method that infers."""
    return channel.unary_unary(
        INFER,
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelInferResponse.FromString,
    )


def stream_infer(channel: grpc.aio.Channel) -> Any:
    """The method that infers in a stream."""
    return channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer",
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelStreamInferResponse.FromString,
    )


@asynccontextmanager
async def flowing(
    edge: Served, credentials: grpc.ChannelCredentials | None = None
) -> AsyncIterator[Counter[str]]:
    """What callers are told while inside, on connections that each last for some calls."""
    told: Counter[str] = Counter()
    options = [("grpc.use_local_subchannel_pool", 1)]

    def connect() -> grpc.aio.Channel:
        if credentials is None:
            return grpc.aio.insecure_channel(edge.address, options)
        return grpc.aio.secure_channel(edge.address, credentials, options)

    async def call_for_ever() -> None:
        while True:
            async with connect() as channel:
                for _ in range(20):
                    try:
                        await infer(channel)(request(), timeout=10)
                        told["OK"] += 1
                    except grpc.aio.AioRpcError as error:
                        told[error.code().name] += 1

    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(call_for_ever()) for _ in range(2)]
        try:
            yield told
        finally:
            for caller in callers:
                caller.cancel()


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of a private authority: its certificate, and certificates with their keys."""

    folder: Path
    authority: Authority

    @classmethod
    def make(cls, folder: Path, name: str = "tests") -> Certificates:
        """A new authority in a folder."""
        folder.mkdir(exist_ok=True)
        authority = Authority.create(name, DAY)
        (folder / "ca.pem").write_bytes(authority.issued.certificate)
        return cls(folder, authority)

    @property
    def ca(self) -> Path:
        """The authority's certificate."""
        return self.folder / "ca.pem"

    def server(self) -> Issued:
        """A new certificate for a server on this machine."""
        return self.authority.issue(Names(["localhost"], ["127.0.0.1"]), DAY, serves=True)

    def caller(self, uri: str) -> Issued:
        """A new certificate for a caller."""
        return self.authority.issue(Names(uris=[uri]), DAY, serves=False)

    def write(self, issued: Issued, name: str) -> tuple[Path, Path]:
        """Put a certificate and its key into files."""
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(issued.certificate)
        key.write_bytes(issued.key)
        return cert, key
