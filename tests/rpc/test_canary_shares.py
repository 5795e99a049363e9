"""A canary gets its share of the requests, to one, whichever way they come in."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2 as pb
from headrace.state.catalog import Catalog
from headrace.state.route_records import Canary, RouteRecord
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import Model, catalog_of, echo, wait_until_settled

WEIGHTS = (1.0, 10.0, 33.0, 50.0, 60.0, 99.0)
CALLS = 100
MODELS = ("echo-FP32", "echo-INT32")

Ask = Callable[[GrpcReplica, str, int], Awaitable[str]]
"""Has the model called with so many values answer; the version that did."""


@asynccontextmanager
async def opened(folder: Path, front: str = "native", *more: Model) -> AsyncIterator[GrpcReplica]:
    """A replica of two models with two versions each."""
    models = (echo(Datatype.FP32), echo(Datatype.INT32), *more)
    async with open_grpc_replica(folder, *models, front=front) as replica:
        await split(replica, models, 50.0)
        yield replica


async def split(replica: GrpcReplica, models: Sequence[Model], weight: float) -> None:
    """Give version 2 of each model, which is as version 1, so many of a hundred requests."""
    reconciler = replica.ingress.reconciler
    catalog = catalog_of(models)
    route = RouteRecord(stable=1, canary=Canary(2, weight))
    routed = {name: replace(model, route=route) for name, model in catalog.models.items()}
    second = {
        (name, 2): replace(record, number=2) for (name, _), record in catalog.versions.items()
    }
    revision = reconciler.applied_revision + 1
    reconciler.want(Catalog(revision, routed, {**catalog.versions, **second}))
    await wait_until_settled(reconciler)


def values(model: str, count: int) -> np.ndarray[Any, Any]:
    """So many values of a model's datatype."""
    return np.zeros(count, np.float32 if model == "echo-FP32" else np.int32)


async def by_call(replica: GrpcReplica, model: str, count: int) -> str:
    """One call of ModelInfer."""
    asked = request(model, values(model, count), model.removeprefix("echo-"))
    return str((await replica.stub.ModelInfer(asked, timeout=10)).model_version)


async def by_typed_call(replica: GrpcReplica, model: str, count: int) -> str:
    """Typed contents have no layout; many of them are decoded by another thread."""
    asked = pb.ModelInferRequest(model_name=model)
    tensor = asked.inputs.add(name="x", datatype=model.removeprefix("echo-"), shape=[count * 5000])
    contents = values(model, count * 5000).tolist()
    (
        tensor.contents.fp32_contents if model == "echo-FP32" else tensor.contents.int_contents
    ).extend(contents)
    return str((await replica.stub.ModelInfer(asked, timeout=10)).model_version)


async def by_stream(replica: GrpcReplica, model: str, count: int) -> str:
    """One request of a stream."""
    stream = replica.stub.ModelStreamInfer(timeout=10)
    await stream.write(request(model, values(model, count), model.removeprefix("echo-")))
    await stream.done_writing()
    (answer,) = [message async for message in stream]
    return str(answer.infer_response.model_version)


async def posted(replica: GrpcReplica, path: str, body: object) -> str:
    """The version that answered over REST."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{replica.http_address}{path}", json=body) as response,
    ):
        return str((await response.json())["model_version"])


async def by_rest(replica: GrpcReplica, model: str, count: int) -> str:
    """One REST request."""
    tensor = {
        "name": "x",
        "datatype": model.removeprefix("echo-"),
        "shape": [count],
        "data": [0] * count,
    }
    return await posted(replica, f"/v2/models/{model}/infer", {"inputs": [tensor]})


async def by_generate(replica: GrpcReplica, model: str, count: int) -> str:
    """One request of the generate form."""
    return await posted(replica, f"/v2/models/{model}/generate", {"x": [0] * count})


WIRES: tuple[tuple[str, Ask], ...] = (
    *((front, by_call) for front in FRONTS),
    *((front, by_typed_call) for front in FRONTS),
    *((front, by_stream) for front in FRONTS),
    ("native", by_rest),
    ("native", by_generate),
)


@pytest.mark.parametrize(("front", "ask"), WIRES)
async def test_a_canary_gets_its_share_to_one_request(tmp_path: Path, front: str, ask: Ask) -> None:
    """At every weight, from the first request on, of each of two models called in turn in three sizes."""
    wrong: list[tuple[float, str, int]] = []
    async with opened(tmp_path, front) as replica:
        for weight in WEIGHTS:
            await split(replica, (echo(Datatype.FP32), echo(Datatype.INT32)), weight)
            counts = Counter[tuple[str, str]]()
            for call in range(CALLS):
                for model in MODELS:
                    counts[model, await ask(replica, model, call % 3 + 1)] += 1
            got = [(weight, model, counts[model, "2"]) for model in MODELS]
            wrong += [share for share in got if abs(share[2] - weight) > 1]

    assert [] == wrong


@pytest.mark.parametrize("front", FRONTS)
async def test_callers_side_by_side_share_the_turns(tmp_path: Path, front: str) -> None:
    """Calls of both wires in flight together, some of them decoded elsewhere: the sum is exact."""
    asks = (by_call, by_typed_call, by_stream, by_rest)
    async with opened(tmp_path, front) as replica:
        await split(replica, (echo(Datatype.FP32), echo(Datatype.INT32)), 30.0)
        calls = [ask(replica, "echo-FP32", 1 + place % 4) for place in range(25) for ask in asks]
        counts = Counter(await asyncio.gather(*calls))

    assert abs(counts["2"] - 30) <= 1


@pytest.mark.parametrize("front", FRONTS)
async def test_requests_that_no_version_takes_have_no_turn(tmp_path: Path, front: str) -> None:
    """A caller whose every other request is misnamed or misshaped meets the canary as others do."""

    async def refused(replica: GrpcReplica, place: int) -> None:
        wrong = request("echo-FP32", np.zeros(2, np.float32))
        match place % 4:
            case 0:
                wrong.inputs[0].shape[0] = 3  # its bytes are of two
            case 1:
                wrong.inputs[0].datatype = "FP64"
            case 2:
                wrong.inputs[0].name = "z"
            case _:
                wrong.ClearField("raw_input_contents")
        with pytest.raises(grpc.aio.AioRpcError):
            await replica.stub.ModelInfer(wrong, timeout=10)

    counts = Counter[str]()
    async with opened(tmp_path, front) as replica:
        for place in range(60):
            await refused(replica, place)
            counts[await by_call(replica, "echo-FP32", 1)] += 1

    assert abs(counts["2"] - 30) <= 1


@pytest.mark.parametrize("front", FRONTS)
async def test_a_canary_that_takes_other_inputs_costs_its_share_and_no_more(
    tmp_path: Path, front: str
) -> None:
    """Half of the requests meet the canary, which refuses them; the other half are answered."""
    other = echo(Datatype.FP32)
    signature = replace(
        other.record.signature,
        inputs=(replace(other.record.signature.inputs[0], shape=(-1, -1)),),
    )
    codes = Counter[str]()
    async with opened(tmp_path, front) as replica:
        reconciler = replica.ingress.reconciler
        catalog = reconciler.table.catalog
        key = ("echo-FP32", 2)
        changed = replace(catalog.versions[key], number=3, signature=signature)
        route = RouteRecord(stable=1, canary=Canary(3, 50.0))
        model = replace(catalog.models["echo-FP32"], route=route)
        await want(reconciler, catalog, model, changed)
        for _ in range(40):
            asked = request("echo-FP32", np.zeros(1, np.float32))
            code, _, _ = await failure_of(replica.stub.ModelInfer(asked, timeout=10))
            codes[code] += 1

    assert codes["OK"] + codes["INVALID_ARGUMENT"] == 40
    assert abs(codes["OK"] - 20) <= 1


async def want(reconciler: VersionReconciler, catalog: Catalog, model: Any, record: Any) -> None:
    """Have this model and this version, too."""
    models = {**catalog.models, model.name: model}
    versions = {**catalog.versions, (record.model, record.number): record}
    reconciler.want(Catalog(catalog.revision + 1, models, versions))
    await wait_until_settled(reconciler)


async def test_pushes_do_not_set_a_small_canary_back(tmp_path: Path) -> None:
    """A new table after every tenth request, and the canary of 1 % gets the hundredth all the same."""
    models = (echo(Datatype.FP32), echo(Datatype.INT32))
    counts = Counter[str]()
    async with opened(tmp_path) as replica:
        for _ in range(20):
            await split(replica, models, 1.0)
            for _ in range(10):
                counts[await by_call(replica, "echo-FP32", 1)] += 1

    assert abs(counts["2"] - 2) <= 1
