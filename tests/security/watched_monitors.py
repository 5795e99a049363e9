"""A monitor with authentication on, that follows a registry, and how to ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from headrace import status
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import monitor_service_pb2_grpc, telemetry_pb2
from tests.rpc.monitors import RunningMonitor, report, running_monitor, telemetry
from tests.security.registries import SecuredRegistry, bearer, reason_of, secured_registry


@dataclass(frozen=True, slots=True)
class Scene:
    """A monitor that follows a registry, and the key of a part of the suite."""

    monitor: RunningMonitor
    registry: SecuredRegistry
    service: str

    async def report(self, key: str, replica: str, *models: str) -> str:
        """Report for a replica; the reason of the refusal, if it is refused."""
        versions = (telemetry([1_000_000], model=model) for model in models)
        return await self.send(key, report(replica, 1, *versions))

    async def send(self, key: str, sent: telemetry_pb2.TelemetryReport) -> str:
        """Send a report; the reason of the refusal, if it is refused."""
        request = pb.ReportTelemetryRequest(report=sent)

        def call() -> str:
            # blocking: grpc.aio's client loses the status of a call that ends while it still sends
            with grpc.insecure_channel(self.monitor.address) as channel:
                stub: Any = monitor_service_pb2_grpc.MonitorServiceStub(channel)
                try:
                    list(stub.ReportTelemetry(iter([request]), metadata=bearer(key)))
                except grpc.RpcError as error:
                    return status.error_from_rpc(error).reason
                return ""

        return await asyncio.to_thread(call)

    async def known(self, key: str) -> str:
        """Wait until the monitor knows a key."""

        async def asked() -> str:
            query = self.monitor.stub.QueryStatistics
            return await reason_of(query(pb.QueryStatisticsRequest(), metadata=bearer(key)))

        await until(asked, "")
        return key

    async def models(self, key: str, **fields: Any) -> list[str]:
        """The models that the statistics tell somebody of."""
        request = pb.QueryStatisticsRequest(**fields)
        answer = await self.monitor.stub.QueryStatistics(request, metadata=bearer(key))
        return [each.model for each in answer.statistics]

    async def ask(self, path: str, key: str = "", **more: Any) -> tuple[int, str, Any]:
        """The status, the body and the headers of a page; redirections are not followed."""
        headers = {**dict(bearer(key)), **more.pop("headers", {})}
        method = more.pop("method", "GET")
        request = self.monitor.http.request(
            method, path, headers=headers, allow_redirects=False, **more
        )
        async with request as response:
            return response.status, await response.text(), response.headers

    async def log_in(self, key: str, **headers: str) -> tuple[int, str, Any]:
        """Send the form of the login page."""
        return await self.ask("/login", method="POST", data={"key": key}, headers=headers)


@asynccontextmanager
async def watched(
    redis_url: str, namespace: str, folder: Path, **settings: Any
) -> AsyncIterator[Scene]:
    """A monitor that has learnt the rights, with reports of two models."""
    async with secured_registry(redis_url, namespace, folder / "registry") as registry:
        service = await registry.key("suite", ("service", "*"))
        token = folder / "token"
        token.write_text(service)
        token.chmod(0o600)
        async with running_monitor(
            folder / "monitor",
            auth="on",
            registry_address=registry.running.address,
            token_file=token,
            **settings,
        ) as monitor:
            scene = Scene(monitor, registry, service)
            await until(lambda: scene.report(service, "replica-0", "team-a", "other"), "")
            yield scene


async def until(ask: Any, expected: str | int) -> None:
    """Wait until the monitor has followed the registry."""
    for _ in range(2000):
        if await ask() == expected:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"never {expected!r}")
