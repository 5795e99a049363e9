"""Learnt schemas held at the door of a replica, as its registry says, over every wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest

from headrace import errors, status
from headrace.conversion.data_profiles import reference_to_proto
from headrace.data_profiles.learning import reference_of
from headrace.data_profiles.observed_rows import observed_fields
from headrace.inference import grpc_service_pb2, grpc_service_pb2_grpc
from headrace.registry.v1 import reference_service_pb2 as pb
from headrace.registry.v1.reference_service_pb2_grpc import ReferenceServiceStub
from headrace.type.v1 import profile_pb2
from headrace_inference.app import Replica
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from tests.rpc.grpc_fixtures import request
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    eventually,
    onnx_file,
    push,
    running_registry,
)
from tests.rpc.replica_fixtures import running_replica

PARENT = "models/digits/versions/1"
NAME = f"{PARENT}/reference"
REJECT = profile_pb2.FieldSchema.ENFORCEMENT_REJECT
FLAG = profile_pb2.FieldSchema.ENFORCEMENT_FLAG
COUNT = profile_pb2.FieldSchema.ENFORCEMENT_COUNT
GOOD = (0.5, 0.5, 1.0, 0.5)
"""`x[0]`, `x[1]` and `x[3]` are from 0 to 1, `x[2]` is 1 or 2."""


@dataclass(frozen=True)
class Scene:
    """A registry with one version, and a replica that serves it."""

    registry: RunningRegistry
    replica: Replica
    stub: Any
    session: aiohttp.ClientSession

    @property
    def version(self) -> LoadedVersion:
        """The version, loaded."""
        return self.replica.reconciler.table.ready["digits", 1]

    async def enforce(self, **fields: Any) -> None:
        """Have this enforced of columns of x, and wait until it is."""
        before = self.version.door.checks
        wanted = {f"input x[{name[1:]}]": word for name, word in fields.items()}
        stub: Any = ReferenceServiceStub(self.registry.channel)
        await stub.UpdateEnforcement(pb.UpdateEnforcementRequest(name=NAME, fields=wanted))
        await eventually(lambda: self.version.door.checks is not before)


@asynccontextmanager
async def scene(
    redis_url: str, namespace: str, folder: Path, front: str = "native"
) -> AsyncIterator[Scene]:
    """A version with a reference, served."""
    async with (
        running_registry(redis_url, namespace, folder / "registry") as registry,
        running_replica(
            redis_url, folder / "replica", registry.address, namespace=namespace, front=front
        ) as replica,
        grpc.aio.insecure_channel(replica.fronts.grpc_address) as channel,
        aiohttp.ClientSession(f"http://{replica.fronts.http_address}") as session,
    ):
        await push(registry, onnx_file())
        await eventually(lambda: ("digits", 1) in replica.reconciler.table.ready)
        stub: Any = ReferenceServiceStub(registry.channel)
        await stub.SetReference(pb.SetReferenceRequest(parent=PARENT, reference=learnt()))
        infer = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        yield Scene(registry, replica, infer, session)


def learnt() -> profile_pb2.Reference:
    """A reference of rows like GOOD, none of which has a missing value."""
    random = np.random.default_rng(1)
    rows = random.random((500, 4))
    rows[:, 2] = random.integers(1, 3, 500)
    rows[0], rows[1] = 0, 1
    rows[:2, 2] = 1
    return reference_to_proto(reference_of(observed_fields({"x": rows}, {}), 500))


Ask = Callable[[Scene, Any], Awaitable[tuple[str, str, str]]]
"""Asks with rows: the reason of a refusal, the fields that were flagged, and the message."""


def _message(rows: Any) -> Any:
    return request("digits", np.array(rows, np.float32))


def _answered(answer: Any) -> tuple[str, str, str]:
    return "", answer.parameters["headrace.flagged"].string_param, ""


async def by_call(scene: Scene, rows: Any) -> tuple[str, str, str]:
    """One call of ModelInfer."""
    try:
        return _answered(await scene.stub.ModelInfer(_message(rows), timeout=20))
    except grpc.RpcError as rpc_error:
        error = status.error_from_rpc(rpc_error)
        assert isinstance(error, errors.InvalidArgument)
        return error.reason, "", error.message


async def by_stream(scene: Scene, rows: Any) -> tuple[str, str, str]:
    """One request of a stream."""
    stream = scene.stub.ModelStreamInfer(timeout=20)
    await stream.write(_message(rows))
    await stream.done_writing()
    (answer,) = [message async for message in stream]
    if answer.error_message:
        return "DATA_OUT_OF_SCHEMA", "", answer.error_message
    return _answered(answer.infer_response)


async def by_rest(scene: Scene, rows: Any) -> tuple[str, str, str]:
    """One REST request."""
    data = np.array(rows, np.float32)
    tensor = {"name": "x", "datatype": "FP32", "shape": data.shape, "data": data.tolist()}
    async with scene.session.post("/v2/models/digits/infer", json={"inputs": [tensor]}) as answer:
        found = await answer.json()
    if answer.status == 400:
        return found["reason"], "", found["error"]
    return "", found["parameters"].get("headrace.flagged", ""), ""


@pytest.mark.parametrize(
    ("front", "asks"), [("native", (by_call, by_stream, by_rest)), ("grpcio", (by_call, by_stream))]
)
async def test_what_differs_is_refused_or_flagged(
    redis_url: str, namespace: str, tmp_path: Path, front: str, asks: tuple[Ask, ...]
) -> None:
    """The refusal names field, value, row and what is allowed; the flag names the field."""
    said, refusals = [], []
    async with scene(redis_url, namespace, tmp_path, front) as served:
        await served.enforce(x0=REJECT, x1=FLAG, x2=FLAG)
        for ask in asks:
            said.append(await ask(served, [GOOD]))
            said.append(await ask(served, [(0.5, 0.5, 1.0, 9.0)]))
            said.append(await ask(served, [(0.5, 7.0, 3.0, 9.0)]))
            refusals.append(await ask(served, [GOOD, (5.0, 7.0, 1.0, 0.5)]))
        totals = served.version.statistics.totals()
    fine, flagged = ("", "", ""), ("", "input x[1], input x[2]", "")
    assert [fine, fine, flagged] * len(asks) == said
    assert ["DATA_OUT_OF_SCHEMA"] * len(asks) == [reason for reason, _, _ in refusals]
    for _, _, message in refusals:
        assert "input x[0] is 5 in row 1, and allowed is 0 to 1.1" in message
    once = {"input x[0]": 1, "input x[1]": 2, "input x[2]": 1}
    assert {name: rows * len(asks) for name, rows in once.items()} == totals.violations
    assert ({"DATA_OUT_OF_SCHEMA": len(asks)}, {"stable": 3 * len(asks)}) == (
        totals.errors,
        totals.routes,
    )


async def test_only_what_differs_of_many_is_refused(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Requests that share runs with such that are refused are answered; each counts once."""
    rows = [[GOOD if n % 3 else (9.0, 0.5, 1.0, 0.5)] for n in range(60)]
    async with scene(redis_url, namespace, tmp_path) as served:
        await served.enforce(x0=REJECT)
        answers = await asyncio.gather(*[by_call(served, each) for each in rows])
        totals = served.version.statistics.totals()
    assert ["DATA_OUT_OF_SCHEMA" if n % 3 == 0 else "" for n in range(60)] == [
        reason for reason, _, _ in answers
    ]
    assert (40, {"DATA_OUT_OF_SCHEMA": 20}) == (totals.successes, totals.errors)
    assert {"input x[0]": 20} == totals.violations


async def test_what_is_enforced_changes_while_it_serves(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Missing and infinite values differ, too. Nothing is loaded anew; a replica that starts has it."""
    wrong = [(9.0, 0.5, 1.0, 0.5)]
    async with scene(redis_url, namespace, tmp_path) as served:
        version = served.version
        await served.enforce(x0=REJECT)
        refused = [
            await by_call(served, [(value, 0.5, 1.0, 0.5)])
            for value in (9.0, np.nan, np.inf, -np.inf, -0.5)
        ]
        await served.enforce(x0=COUNT)
        let_in, _, _ = await by_call(served, wrong)
        await served.enforce(x0=REJECT)
        kept = [path.name for path in (tmp_path / "replica" / "references").iterdir()]
        address = served.registry.address
        async with running_replica(
            redis_url, tmp_path / "other", address, namespace=namespace
        ) as other:
            ready = other.reconciler.table.ready
            await eventually(lambda: ready["digits", 1].door.checks is not None)
        stub: Any = ReferenceServiceStub(served.registry.channel)
        await stub.DeleteReference(pb.DeleteReferenceRequest(name=NAME))
        await eventually(lambda: version.door.checks is None)
        after, _, _ = await by_call(served, wrong)
        is_same = served.version is version
    assert ["DATA_OUT_OF_SCHEMA"] * 5 == [reason for reason, _, _ in refused]
    assert ("", "", True) == (let_in, after, is_same)
    assert 1 == len(kept)


@pytest.mark.toolchain
async def test_a_replica_serves_without_a_reference_that_is_lost(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What it enforced before goes on being enforced; one that never had it serves all."""
    async with scene(redis_url, namespace, tmp_path) as served:
        await served.enforce(x0=REJECT)
        for path in (tmp_path / "registry" / "blobs").rglob("*"):
            if path.is_file() and path.name in {
                each.name for each in (tmp_path / "replica" / "references").iterdir()
            }:
                path.unlink()
        refused, _, _ = await by_call(served, [(9.0, 0.5, 1.0, 0.5)])
        address = served.registry.address
        async with (
            running_replica(redis_url, tmp_path / "other", address, namespace=namespace) as other,
            grpc.aio.insecure_channel(other.fronts.grpc_address) as channel,
        ):
            await eventually(lambda: ("digits", 1) in other.reconciler.table.ready)
            stub: Any = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
            answer = await stub.ModelInfer(_message([(9.0, 0.5, 1.0, 0.5)]), timeout=20)
    assert "DATA_OUT_OF_SCHEMA" == refused
    assert isinstance(answer, grpc_service_pb2.ModelInferResponse)
