"""Changes and looks at what a server has beside its versions, for every wire: regions, models, settings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.extensions.log_settings import Value
from headrace_inference.domain.extensions.trace_settings import Changes
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.reconciliation.model_control import LoadRequest
from headrace_inference.wire.codec import messages
from headrace_inference.wire.server_queries import ServerFacts, model_ready, statistics_of

LogChanges = Mapping[str, Value | None]


class ServerControl(Protocol):
    """Of one process, or of all that share a port. The methods raise HeadraceError."""

    async def register_system(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Make a stretch of the system's shared memory known under a name."""

    async def register_device(
        self, name: str, handle: bytes, device_id: int, byte_size: int
    ) -> None:
        """Make a device's memory known under a name."""

    async def unregister(self, name: str, *, device: bool = False) -> None:
        """Forget a region, or all of a kind where no name is given."""

    async def load(self, request: LoadRequest) -> None:
        """Load a model, and return once it is ready."""

    async def unload(self, name: str) -> None:
        """Unload a model."""

    async def trace(self, model: str, changes: Changes) -> dict[str, list[str]]:
        """The settings of traces, of a model or ('') of all, after these changes."""

    async def log(self, changes: LogChanges) -> dict[str, Value]:
        """The settings of logs after these changes."""

    async def model_ready(self, name: str, version: str) -> bool:
        """Return whether a request for these names is answered, whoever gets it."""

    async def statistics(self, name: str, version: str) -> pb.ModelStatisticsResponse:
        """The statistics of one version, of all of a model's, or of all."""

    async def index(self, *, ready_only: bool) -> pb.RepositoryIndexResponse:
        """List the versions."""


class OwnControl:
    """Of this process alone."""

    def __init__(self, ingress: Ingress, facts: ServerFacts) -> None:
        self._ingress = ingress
        self._facts = facts

    async def register_system(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Make a stretch of the system's shared memory known under a name."""
        self._ingress.regions.register_system(name, key, offset, byte_size)

    async def register_device(
        self, name: str, handle: bytes, device_id: int, byte_size: int
    ) -> None:
        """Make a device's memory known under a name."""
        self._ingress.regions.register_device(name, handle, device_id, byte_size)

    async def unregister(self, name: str, *, device: bool = False) -> None:
        """Forget a region, or all of a kind where no name is given."""
        self._ingress.regions.unregister(name, device=device)

    async def load(self, request: LoadRequest) -> None:
        """Load a model, and return once it is ready."""
        await self._facts.control.load(request)

    async def unload(self, name: str) -> None:
        """Unload a model."""
        await self._facts.control.unload(name)

    async def trace(self, model: str, changes: Changes) -> dict[str, list[str]]:
        """The settings of traces, of a model or ('') of all, after these changes."""
        return self._ingress.trace_settings(model, changes)

    async def log(self, changes: LogChanges) -> dict[str, Value]:
        """The settings of logs after these changes."""
        self._facts.log.update(changes)
        return self._facts.log.values()

    async def model_ready(self, name: str, version: str) -> bool:
        """Return whether these names lead to a version that can be called here."""
        return model_ready(self._ingress, name, version)

    async def statistics(self, name: str, version: str) -> pb.ModelStatisticsResponse:
        """The statistics of this process's versions."""
        return statistics_of(self._ingress, name, version)

    async def index(self, *, ready_only: bool) -> pb.RepositoryIndexResponse:
        """List the versions."""
        table = self._ingress.reconciler.table
        # In a thread: there may be 100,000 of them, and others wait on the loop.
        return await asyncio.to_thread(messages.repository_index, table, ready_only=ready_only)
