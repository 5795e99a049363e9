"""Does for all replicas of a machine that share ports what a caller asks of the one that got the call.

What changes something is done here first: what is refused here goes no further. Then all others do it, one
such call at a time, and it is kept for those that join later. Questions are answered for all.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

from google.protobuf.message import Message

from headrace.errors import HeadraceError, NotFound
from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.extensions.log_settings import Value
from headrace_inference.domain.extensions.trace_settings import Changes
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.reconciliation.model_control import LoadRequest
from headrace_inference.wire.codec.control_requests import (
    load_message,
    log_message,
    trace_message,
)
from headrace_inference.wire.codec.statistics_sums import summed_statistics
from headrace_inference.wire.server_control import LogChanges, OwnControl, ServerControl
from headrace_inference.wire.server_queries import ServerFacts
from headrace_inference.wire.siblings import Siblings

_SERVICE = "/inference.GRPCInferenceService/"
_QUICK_SECONDS, _LOAD_SECONDS = 10.0, 900.0
_LOG = "log"

Done = TypeVar("Done")
Settings = TypeVar("Settings", pb.TraceSettingRequest, pb.LogSettingsRequest)


def control_of(ingress: Ingress, facts: ServerFacts) -> ServerControl:
    """Of this process, or of all that share the port, where facts name siblings."""
    own = OwnControl(ingress, facts)
    return own if facts.siblings is None else SharedControl(own, facts.siblings)


class SharedControl:
    """Of all replicas that share ports, of which `own` is this one."""

    def __init__(self, own: ServerControl, siblings: Siblings) -> None:
        self._own = own
        self._siblings = siblings

    async def register_system(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Make a stretch of the system's shared memory known under a name, to all or to none."""
        request = pb.SystemSharedMemoryRegisterRequest(
            name=name, key=key, offset=offset, byte_size=byte_size
        )
        await self._registered(
            partial(self._own.register_system, name, key, offset, byte_size),
            name,
            request,
            device=False,
        )

    async def register_device(
        self, name: str, handle: bytes, device_id: int, byte_size: int
    ) -> None:
        """Make a device's memory known under a name, to all or to none."""
        request = pb.CudaSharedMemoryRegisterRequest(
            name=name, raw_handle=handle, device_id=device_id, byte_size=byte_size
        )
        await self._registered(
            partial(self._own.register_device, name, handle, device_id, byte_size),
            name,
            request,
            device=True,
        )

    async def _registered(
        self, own: Callable[[], Awaitable[None]], name: str, request: Message, *, device: bool
    ) -> None:
        kind = "Cuda" if device else "System"

        async def register() -> None:
            await own()
            try:
                await self._tell(f"{kind}SharedMemoryRegister", request)
            except HeadraceError:
                await self._unregister(name, device=device)
                raise
            key = f"memory-{kind}-{_name(name)}"
            self._keep(key, f"{kind}SharedMemoryRegister", request)

        await self._in_turn("memory", register)

    async def unregister(self, name: str, *, device: bool = False) -> None:
        """Forget a region, or all of a kind where no name is given."""
        await self._in_turn("memory", partial(self._unregister, name, device=device))

    async def _unregister(self, name: str, *, device: bool) -> None:
        await self._own.unregister(name, device=device)
        kind = "Cuda" if device else "System"
        self._siblings.forget(f"memory-{kind}-{_name(name) if name else ''}")
        requests = (pb.SystemSharedMemoryUnregisterRequest, pb.CudaSharedMemoryUnregisterRequest)
        await self._tell(f"{kind}SharedMemoryUnregister", requests[device](name=name))

    async def load(self, request: LoadRequest) -> None:
        """Load a model, and return once it is ready everywhere."""

        async def load() -> None:
            await self._own.load(request)
            message = await asyncio.to_thread(load_message, request)  # of any size
            await self._tell("RepositoryModelLoad", message, _LOAD_SECONDS)
            await asyncio.to_thread(self._keep_load, request, message)

        await self._in_turn("models", load)

    def _keep_load(self, request: LoadRequest, message: pb.RepositoryModelLoadRequest) -> None:
        key = f"model-{_name(request.name)}"
        former = pb.RepositoryModelLoadRequest()
        former.ParseFromString(self._siblings.kept(key) or b"")
        if request.files:
            self._keep(key, "RepositoryModelLoad", message)
        elif former.parameters and message.parameters:  # the former's files with another config
            former.parameters["config"].CopyFrom(message.parameters["config"])
            self._keep(key, "RepositoryModelLoad", former)
        elif not former.parameters:  # the registry's: it is no longer unloaded
            self._siblings.forget(key)

    async def unload(self, name: str) -> None:
        """Unload a model everywhere."""
        request = pb.RepositoryModelUnloadRequest(model_name=name)
        key = f"model-{_name(name)}"

        async def unload() -> None:
            await self._own.unload(name)
            former = pb.RepositoryModelLoadRequest()
            former.ParseFromString(self._siblings.kept(key) or b"")
            if former.parameters:  # a caller's: it is there no more
                self._siblings.forget(key)
            else:
                self._keep(key, "RepositoryModelUnload", request)
            await self._tell("RepositoryModelUnload", request)

        await self._in_turn("models", unload)

    async def trace(self, model: str, changes: Changes) -> dict[str, list[str]]:
        """The settings of traces, of a model or ('') of all, after these changes."""
        if not changes:
            return await self._own.trace(model, changes)

        async def change() -> dict[str, list[str]]:
            settings = await self._own.trace(model, changes)
            request, key = trace_message(model, changes), f"trace-{_name(model) if model else ''}"
            kept = pb.TraceSettingRequest.FromString(self._siblings.kept(key) or b"")
            await self._tell("TraceSetting", request)
            self._keep(key, "TraceSetting", _take_over(kept, request))
            return settings

        return await self._in_turn("settings", change)

    async def log(self, changes: LogChanges) -> dict[str, Value]:
        """The settings of logs after these changes."""
        if not changes:
            return await self._own.log(changes)

        async def change() -> dict[str, Value]:
            settings = await self._own.log(changes)
            request = log_message(changes)
            kept = pb.LogSettingsRequest.FromString(self._siblings.kept(_LOG) or b"")
            await self._tell("LogSettings", request)
            self._keep(_LOG, "LogSettings", _take_over(kept, request))
            return settings

        return await self._in_turn("settings", change)

    async def model_ready(self, name: str, version: str) -> bool:
        """Return whether every connection to the shared port has a request for these names answered."""
        if not await self._own.model_ready(name, version):
            return False
        request = pb.ModelReadyRequest(name=name, version=version)
        answers = await self._ask("ModelReady", request)
        return all(
            isinstance(answer, bytes) and pb.ModelReadyResponse.FromString(answer).ready
            for answer in answers
        )

    async def statistics(self, name: str, version: str) -> pb.ModelStatisticsResponse:
        """The statistics of all replicas together; one that knows no such version has none."""
        own = await self._own.statistics(name, version)
        request = pb.ModelStatisticsRequest(name=name, version=version)
        answers = _good(await self._ask("ModelStatistics", request), but=(NotFound,))
        others = [pb.ModelStatisticsResponse.FromString(answer) for answer in answers]
        return summed_statistics([own, *others])

    async def index(self, *, ready_only: bool) -> pb.RepositoryIndexResponse:
        """List the versions; one is ready that is ready everywhere."""
        own = await self._own.index(ready_only=ready_only)
        request = pb.RepositoryIndexRequest(ready=ready_only)
        answers = _good(await self._ask("RepositoryIndex", request))
        others = [pb.RepositoryIndexResponse.FromString(answer) for answer in answers]
        return await asyncio.to_thread(least_ready, own, others)

    async def _tell(self, method: str, request: Message, seconds: float = _QUICK_SECONDS) -> None:
        """Have all others do it. Raises what the first one refuses it with."""
        _good(await self._ask(method, request, seconds))

    async def _ask(
        self, method: str, request: Message, seconds: float = _QUICK_SECONDS
    ) -> list[bytes | HeadraceError]:
        payload = await asyncio.to_thread(request.SerializeToString)
        return await self._siblings.ask(_SERVICE + method, payload, seconds)

    def _keep(self, key: str, method: str, request: Message) -> None:
        self._siblings.keep(key, _SERVICE + method, request.SerializeToString())

    async def _in_turn(self, what: str, work: Callable[[], Awaitable[Done]]) -> Done:
        async def take() -> Done:
            async with self._siblings.turn(what):
                return await work()

        return await _to_its_end(take())


def least_ready(
    own: pb.RepositoryIndexResponse, others: Iterable[pb.RepositoryIndexResponse]
) -> pb.RepositoryIndexResponse:
    """The versions of the first, each as it is where it is not ready; those that others do not list go."""
    listed = list(own.models)
    for other in others:
        there = {(entry.name, entry.version): entry for entry in other.models}
        both = [entry for entry in listed if (entry.name, entry.version) in there]
        listed = [
            there[entry.name, entry.version] if entry.state == "READY" else entry for entry in both
        ]
    return pb.RepositoryIndexResponse(models=listed)


def _good(
    answers: Iterable[bytes | HeadraceError], but: tuple[type[HeadraceError], ...] = ()
) -> list[bytes]:
    found: list[bytes] = []
    for answer in answers:
        if isinstance(answer, bytes):
            found.append(answer)
        elif not isinstance(answer, but):
            raise answer
    return found


def _take_over(kept: Settings, changes: Settings) -> Settings:
    """Changes, with those of before that they leave as they are."""
    for key, value in kept.settings.items():
        if key not in changes.settings:
            changes.settings[key].CopyFrom(value)
    return changes


def _name(text: str) -> str:
    """A file's name for any text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


async def _to_its_end(work: Awaitable[Done]) -> Done:
    """Do it whole, also where the caller goes away: what some replicas have, all must have."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
