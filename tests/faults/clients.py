"""Clients that push, delete, move aliases, list, watch and call, and write down what they were told."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import numpy as np

from headrace import errors, status
from headrace.inference import grpc_service_pb2, grpc_service_pb2_grpc
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2_grpc
from tests.faults.history import FinalState, History, Kind, Operation, Outcome, Seen, VersionKey
from tests.rpc.registry_fixtures import onnx_file, push_messages

MODELS = ("fruit", "digits")
UNSETTLED = (errors.Unavailable, errors.DeadlineExceeded, errors.Cancelled, errors.Internal)
"""Errors after which a change may have been made."""
_CALL_SECONDS = 5.0
_PUSH_SECONDS = 30.0
_PAUSE_SECONDS = 0.05
_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
]


@dataclass(slots=True)
class Workload:
    """What all clients share: the history, what was acknowledged, and which artifact has which digest."""

    registry: Any
    replicas: dict[str, Any]
    history: History
    random: random.Random
    acknowledged: dict[VersionKey, int] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    next_value: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no more changes are to be begun: one that is broken off may be made all the same."""

    def artifact(self) -> tuple[int, bytes]:
        """An artifact that no push had before."""
        value = next(self.next_value)
        artifact = onnx_file(bias=float(value))
        self.values[hashlib.sha256(artifact).hexdigest()] = value
        return value, artifact

    def note(
        self, call: tuple[str, Kind, str, float], said: tuple[Outcome, str], **facts: Any
    ) -> None:
        """Write down a call (by whom, what, of which model, since when) and what was said to it."""
        client, kind, model, started = call
        ended = time.monotonic()
        self.history.operations.append(
            Operation(client, kind, model, started, ended, *said, **facts)
        )

    def some_version(self, model: str) -> int:
        """A version of a model that was acknowledged, or 0."""
        known = [number for name, number in self.acknowledged if name == model]
        return self.random.choice(known) if known else 0


@asynccontextmanager
async def open_workload(
    registry: str, replicas: dict[str, str], history: History, seed: int
) -> AsyncIterator[Workload]:
    """Stubs of a registry and of replicas by name, over connections of their own."""
    async with AsyncExitStack() as stack:

        async def channel(address: str) -> grpc.aio.Channel:
            opened = grpc.aio.insecure_channel(address, options=_OPTIONS)
            return await stack.enter_async_context(opened)

        yield Workload(
            registry_service_pb2_grpc.RegistryServiceStub(await channel(registry)),
            {
                name: grpc_service_pb2_grpc.GRPCInferenceServiceStub(await channel(address))
                for name, address in replicas.items()
            },
            history,
            random.Random(seed),
        )


async def told(call: Awaitable[Any]) -> tuple[Outcome, str, Any]:
    """What a call came to: outcome, reason and answer."""
    try:
        return Outcome.OK, "", await call
    except grpc.RpcError as failure:
        error = status.error_from_rpc(failure)
        settled = not isinstance(error, UNSETTLED)
        return Outcome.REFUSED if settled else Outcome.UNKNOWN, error.reason, None


async def push_for_ever(work: Workload, client: str) -> None:
    """Push artifacts, each again and again with its request id until it is told what became of it."""
    while not work.ending.is_set():
        model = work.random.choice(MODELS)
        value, artifact = work.artifact()
        header = {
            "parent": f"models/{model}",
            "filename": "model.onnx",
            "size_bytes": len(artifact),
            "sha256": hashlib.sha256(artifact).hexdigest(),
            "create_model": True,
            "request_id": str(uuid4()),
        }
        outcome = Outcome.UNKNOWN
        while outcome is Outcome.UNKNOWN:
            started = time.monotonic()
            call = work.registry.PushVersion(_stream(artifact, header), timeout=_PUSH_SECONDS)
            outcome, reason, version = await told(call)
            number = int(version.name.rpartition("/")[2]) if version else 0
            work.note(
                (client, Kind.PUSH, model, started),
                (outcome, reason),
                value=value,
                number=number,
                revision=int(version.etag) if version else 0,
            )
            if number:
                work.acknowledged[model, number] = value
            await asyncio.sleep(_PAUSE_SECONDS)


async def _stream(artifact: bytes, header: dict[str, Any]) -> AsyncIterator[Any]:
    for message in push_messages(artifact, header):
        yield message


async def delete_for_ever(work: Workload, client: str) -> None:
    """Delete versions, old ones and such as are named and must be refused."""
    while not work.ending.is_set():
        await asyncio.sleep(work.random.uniform(0.2, 1.0))
        model = work.random.choice(MODELS)
        number = work.some_version(model)
        if not number:
            continue
        started = time.monotonic()
        request = pb.DeleteVersionRequest(name=f"models/{model}/versions/{number}")
        outcome, reason, _ = await told(work.registry.DeleteVersion(request, timeout=_CALL_SECONDS))
        work.note((client, Kind.DELETE, model, started), (outcome, reason), number=number)
        if outcome is not Outcome.REFUSED:
            work.acknowledged.pop((model, number), None)


async def move_for_ever(work: Workload, client: str) -> None:
    """Move an alias that nobody else moves."""
    while not work.ending.is_set():
        await asyncio.sleep(work.random.uniform(0.01, 0.1))
        model = work.random.choice(MODELS)
        number = work.some_version(model)
        if not number:
            continue
        started = time.monotonic()
        request = pb.UpdateAliasRequest(
            alias={"name": f"models/{model}/aliases/{client}", "version": number},
            allow_missing=True,
            allow_unready=True,
            allow_signature_change=True,
        )
        outcome, reason, _ = await told(work.registry.UpdateAlias(request, timeout=_CALL_SECONDS))
        work.note(
            (client, Kind.ALIAS, model, started), (outcome, reason), number=number, alias=client
        )


async def list_for_ever(work: Workload, client: str) -> None:
    """List the versions of models."""
    while True:
        await asyncio.sleep(work.random.uniform(0.01, 0.1))
        model = work.random.choice(MODELS)
        started = time.monotonic()
        outcome, reason, versions = await told(_versions(work, model))
        numbers = frozenset(number for number, _ in versions or ())
        work.note((client, Kind.LIST, model, started), (outcome, reason), numbers=numbers)


async def _versions(work: Workload, model: str) -> list[tuple[int, str]]:
    """The versions of a model with the digest of their file."""
    found: list[tuple[int, str]] = []
    request = pb.ListVersionsRequest(parent=f"models/{model}", page_size=1000)
    while True:
        page = await work.registry.ListVersions(request, timeout=_CALL_SECONDS)
        found += [
            (int(version.name.rpartition("/")[2]), version.files[0].sha256)
            for version in page.versions
        ]
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return found


async def infer_for_ever(work: Workload, client: str) -> None:
    """Call versions by number at every replica."""
    while True:
        await asyncio.sleep(work.random.uniform(0.01, 0.05))
        model = work.random.choice(MODELS)
        number = work.some_version(model)
        replica = work.random.choice(sorted(work.replicas))
        started = time.monotonic()
        outcome, reason, value = await told(ask(work.replicas[replica], (model, number)))
        work.note(
            (f"{client} at {replica}", Kind.INFER, model, started),
            (outcome, reason),
            value=value or 0,
            number=number,
        )


async def ask(replica: Any, key: VersionKey) -> int:
    """What a version adds."""
    request = grpc_service_pb2.ModelInferRequest(
        model_name=key[0],
        model_version=str(key[1]),
        inputs=[{"name": "x", "datatype": "FP32", "shape": [1, 4]}],
        raw_input_contents=[np.zeros(4, np.float32).tobytes()],
    )
    answer = await replica.ModelInfer(request, timeout=_CALL_SECONDS)
    return int(np.frombuffer(answer.raw_output_contents[0], np.float32)[0])


async def watch_for_ever(work: Workload, client: str) -> None:
    """Watch all changes, on from the last one seen; list anew where the registry says that it must."""
    stream, at = 0, await _now(work)
    while True:
        try:
            async for change in work.registry.WatchChanges(at):
                at.start_revision = change.revision
                at.start_epoch, at.start_hash = change.epoch, change.hash
                work.history.seen.append(
                    Seen(
                        client,
                        stream,
                        change.revision,
                        change.kind,
                        change.resource,
                        change.epoch,
                        change.hash,
                    )
                )
        except grpc.RpcError as failure:
            if not isinstance(status.error_from_rpc(failure), UNSETTLED):
                stream, at = stream + 1, await _now(work)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _now(work: Workload) -> pb.WatchChangesRequest:
    """A watch from where the state is."""
    while True:
        request = pb.ListModelsRequest(page_size=1)
        outcome, _, page = await told(work.registry.ListModels(request, timeout=_CALL_SECONDS))
        if outcome is Outcome.OK:
            return pb.WatchChangesRequest(
                start_revision=page.revision, start_epoch=page.epoch, start_hash=page.hash
            )
        await asyncio.sleep(_PAUSE_SECONDS)


async def final_state(work: Workload, registry_data: Path, seconds: float = 60.0) -> FinalState:
    """What is there, and what replicas answer, once all of it is served. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        versions = {
            (model, number): work.values[digest]
            for model in MODELS
            for number, digest in await _until_told(_versions, work, model)
        }
        aliases: dict[tuple[str, str], int] = {}
        answers: dict[tuple[str, VersionKey], int] = {}
        for model in MODELS:
            for alias, number in await _until_told(_aliases, work, model):
                aliases[model, alias] = number
        for (model, _), number in aliases.items():
            for name, replica in work.replicas.items():
                answers[name, (model, number)] = await _until_served(replica, (model, number))
        return FinalState(versions, aliases, answers, await _stored(work, registry_data))


async def _stored(work: Workload, registry_data: Path) -> frozenset[int]:
    """The artifacts whose bytes are there once what was interrupted is cleared up."""
    while any((registry_data / "storing").iterdir()):  # noqa: ASYNC110
        await asyncio.sleep(_PAUSE_SECONDS)
    found = (registry_data / "blobs").glob("*/*")
    return frozenset(work.values[blob.name] for blob in found)


async def _aliases(work: Workload, model: str) -> list[tuple[str, int]]:
    request = pb.ListAliasesRequest(parent=f"models/{model}", page_size=1000)
    page = await work.registry.ListAliases(request, timeout=_CALL_SECONDS)
    return [(alias.name.rpartition("/")[2], alias.version) for alias in page.aliases]


async def _until_told(read: Any, work: Workload, model: str) -> Any:
    while True:
        outcome, reason, found = await told(read(work, model))
        if outcome is Outcome.OK:
            return found
        if reason == "MODEL_NOT_FOUND":
            return []
        await asyncio.sleep(_PAUSE_SECONDS)


async def _until_served(replica: Any, key: VersionKey) -> int:
    while True:
        outcome, _, value = await told(ask(replica, key))
        if outcome is Outcome.OK:
            return int(value)
        await asyncio.sleep(_PAUSE_SECONDS)
