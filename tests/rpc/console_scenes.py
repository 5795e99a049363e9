"""A console to ask: a registry, a replica and a monitor with real sockets, in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace_monitor.adapters.system_time import SystemTime
from tests.rpc.monitors import RunningMonitor, running_monitor
from tests.rpc.registry_fixtures import RunningRegistry, running_registry
from tests.rpc.replica_fixtures import running_replica

API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Scene:
    """A monitor that follows a registry."""

    registry: RunningRegistry
    monitor: RunningMonitor

    async def get(self, path: str) -> Any:
        """The JSON that a question is answered with."""
        status, text = await self.monitor.get(f"{API}{path}")
        assert 200 == status, text
        return json.loads(text)

    async def refused(self, path: str) -> tuple[int, str]:
        """The status and the reason that a question is refused with."""
        status, text = await self.monitor.get(f"{API}{path}")
        return status, json.loads(text)["reason"]

    async def post(self, path: str, document: object, **headers: str) -> tuple[int, Any]:
        """The status and the JSON that a change is answered with."""
        sent = self.monitor.http.post(f"{API}{path}", json=document, headers=headers)
        async with sent as response:
            return response.status, json.loads(await response.text())

    async def until(self, path: str, holds: Callable[[Any], bool]) -> Any:
        """Ask again and again until an answer is as wanted; the answer."""
        for _ in range(500):
            status, text = await self.monitor.get(f"{API}{path}")
            if status == 200 and holds(found := json.loads(text)):
                return found
            await asyncio.sleep(0.02)  # nothing tells
        raise AssertionError(f"{path} was not as wanted: {text}")


@asynccontextmanager
async def console_scene(
    redis_url: str, namespace: str, folder: Path, *, replica: bool = False, **settings: Any
) -> AsyncIterator[Scene]:
    """A registry and a monitor, and if wanted a replica, while inside."""
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(
            running_registry(redis_url, namespace, folder / "registry")
        )
        monitor = await stack.enter_async_context(
            running_monitor(
                folder / "monitor", SystemTime(), registry_address=registry.address, **settings
            )
        )
        if replica:
            await stack.enter_async_context(
                running_replica(
                    redis_url,
                    folder / "replica",
                    registry.address,
                    namespace=namespace,
                    monitor_address=monitor.address,
                )
            )
        yield Scene(registry, monitor)
