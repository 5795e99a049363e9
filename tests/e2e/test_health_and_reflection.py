"""Every service says whether it is well, and what it offers, to tools that know nothing of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.suite import running_suite

pytestmark = pytest.mark.e2e

SERVICES = {
    "registry": "headrace.registry.v1.RegistryService",
    "inference": "inference.GRPCInferenceService",
    "monitor": "headrace.monitor.v1.MonitorService",
}


async def test_health_and_reflection(tmp_path: Path) -> None:
    """Health is SERVING by name and as a whole; reflection lists the service and describes its methods."""
    async with running_suite(tmp_path) as suite:
        for service, name in SERVICES.items():
            async with grpc.aio.insecure_channel(getattr(suite, service)) as channel:
                for asked in ("", name):
                    health: Any = health_pb2_grpc.HealthStub(channel)
                    answer = await health.Check(health_pb2.HealthCheckRequest(service=asked))
                    assert answer.status == health_pb2.HealthCheckResponse.SERVING
                listed, methods = await _reflect(channel, name)

            assert {name, "grpc.health.v1.Health"} <= listed
            assert len(methods) >= 4


async def _reflect(channel: Any, name: str) -> tuple[set[str], list[str]]:
    """The services that reflection lists, and the methods of one of them."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=name),
    ]
    answers = [answer async for answer in stub.ServerReflectionInfo(iter(requests))]
    listed = {service.name for service in answers[0].list_services_response.service}
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(file)
        for file in answers[1].file_descriptor_response.file_descriptor_proto
    ]
    methods = [
        method.name
        for file in files
        for service in file.service
        if f"{file.package}.{service.name}" == name
        for method in service.method
    ]
    return listed, methods
