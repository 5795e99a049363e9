"""Every service says whether it is well, and what it offers, to tools that know nothing of it."""

from __future__ import annotations

import asyncio
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
                    await _until_serving(channel, asked)
                    health: Any = health_pb2_grpc.HealthStub(channel)
                    answer = await health.Check(health_pb2.HealthCheckRequest(service=asked))
                    assert answer.status == health_pb2.HealthCheckResponse.SERVING
                listed, methods = await _reflect(channel, name)

            assert {name, "grpc.health.v1.Health"} <= listed
            assert len(methods) >= 4


async def _until_serving(channel: Any, service: str) -> None:
    """Watch until it serves: a suite is up when its replicas live, which is before they know the state."""
    health: Any = health_pb2_grpc.HealthStub(channel)
    async with asyncio.timeout(30):
        async for told in health.Watch(health_pb2.HealthCheckRequest(service=service)):
            if told.status == health_pb2.HealthCheckResponse.SERVING:
                return


async def test_reflection_describes_what_errors_carry(tmp_path: Path) -> None:
    """A tool that reads everything by reflection can show an error's reason and retry delay."""
    async with running_suite(tmp_path) as suite:
        for service in SERVICES:
            async with grpc.aio.insecure_channel(getattr(suite, service)) as channel:
                for name in ("google.rpc.ErrorInfo", "google.rpc.RetryInfo"):
                    files = await _files(channel, name)
                    assert "google/rpc/error_details.proto" in {file.name for file in files}


async def _reflect(channel: Any, name: str) -> tuple[set[str], list[str]]:
    """The services that reflection lists, and the methods of one of them."""
    answer = await _ask(channel, reflection_pb2.ServerReflectionRequest(list_services=""))
    listed = {service.name for service in answer.list_services_response.service}
    methods = [
        method.name
        for file in await _files(channel, name)
        for service in file.service
        if f"{file.package}.{service.name}" == name
        for method in service.method
    ]
    return listed, methods


async def _files(channel: Any, symbol: str) -> list[Any]:
    """The files that reflection gives for a symbol."""
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
    answer = await _ask(channel, request)
    return [
        descriptor_pb2.FileDescriptorProto.FromString(file)
        for file in answer.file_descriptor_response.file_descriptor_proto
    ]


async def _ask(channel: Any, request: Any) -> Any:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    answers = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]
    return answers[0]
