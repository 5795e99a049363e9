"""Servers for tests of the client: real gRPC on a free port, answering what a test scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from headrace.client import AsyncClient, ClientSettings
from headrace.inference import grpc_service_pb2_grpc as inference
from headrace.monitor.v1 import monitor_service_pb2_grpc as monitor
from headrace.registry.v1 import registry_service_pb2_grpc as registry
from headrace.service.grpc_serving import open_grpc_server

SETTINGS = {"actor": "tester@bench", "timeout_seconds": 5.0}


def settings_for(port: int, **changes: Any) -> ClientSettings:
    """Settings that find all three services on one port."""
    address = f"127.0.0.1:{port}"
    given: dict[str, Any] = dict.fromkeys(("registry", "inference", "monitor"), address)
    return ClientSettings(**given | SETTINGS | changes)


@asynccontextmanager
async def open_services(*servicers: Any) -> AsyncIterator[int]:
    """The servicers given (of any of the three services) on one port, while inside."""

    def register(server: grpc.aio.Server) -> None:
        for servicer in servicers:
            if isinstance(servicer, registry.RegistryServiceServicer):
                registry.add_RegistryServiceServicer_to_server(servicer, server)
            elif isinstance(servicer, monitor.MonitorServiceServicer):
                monitor.add_MonitorServiceServicer_to_server(servicer, server)
            else:
                inference.add_GRPCInferenceServiceServicer_to_server(servicer, server)

    async with open_grpc_server("127.0.0.1:0", [], register, drain_seconds=0.0) as server:
        yield server.port


@asynccontextmanager
async def open_client(*servicers: Any, **changes: Any) -> AsyncIterator[AsyncClient]:
    """A client of the servicers given."""
    async with (
        open_services(*servicers) as port,
        AsyncClient(settings=settings_for(port, **changes)) as client,
    ):
        yield client
