"""A shadow gets copies and is felt by nobody: it fails, it does not end, or it is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import helper

from headrace.datatypes import Datatype
from headrace.state.catalog import Catalog
from headrace.state.records import TensorSpec, VersionRecord
from headrace.state.route_records import RouteRecord, Shadow
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.versions.statistics import Counts
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, open_grpc_replica
from tests.rpc.rest_fixtures import Model, catalog_of, model, wait_until_settled
from tests.rpc.route_wires import (
    Ask,
    Question,
    by_call,
    by_generate,
    by_rest,
    by_stream,
    by_typed_call,
)
from tests.rpc.test_endless_runs import counting

MODEL, LONG = "m", 2**40
GOOD, FAILING, ENDLESS, MISSING = 2, 3, 4, 5
SPECS = [TensorSpec(tensor, Datatype.INT64, (1,)) for tensor in ("x", "y")]
ASKS: tuple[Ask, ...] = (by_call, by_typed_call, by_stream, by_rest, by_generate)


def identity() -> Model:
    """y = x."""
    return model(MODEL, [helper.make_node("Identity", ["x"], ["y"])], SPECS[:1], SPECS[1:])


def failing() -> Model:
    """Fails at any x over 0: it looks beyond the end of a table."""
    table = helper.make_tensor("table", onnx.TensorProto.INT64, [1], [7])
    nodes = [
        helper.make_node("Constant", [], ["table"], value=table),
        helper.make_node("Gather", ["table", "x"], ["y"]),
    ]
    return model(MODEL, nodes, SPECS[:1], SPECS[1:])


GRAPHS: dict[int, Callable[[], Model]] = {
    1: identity,
    GOOD: identity,
    FAILING: failing,
    ENDLESS: counting,
}


@asynccontextmanager
async def shadowed(folder: Path, front: str) -> AsyncIterator[GrpcReplica]:
    """A replica of a model with all of these versions; the missing one cannot be opened."""
    for number, graph in GRAPHS.items():
        onnx.save(graph().graph, folder / f"{number}.onnx")

    def open_version(_: Path, record: VersionRecord) -> Runner:
        return open_session(folder / f"{record.number}.onnx", record)

    served = identity()
    async with open_grpc_replica(
        folder, served, open_model=open_version, front=front, max_run_seconds=0.5
    ) as replica:
        yield replica


async def put_in_shadow(replica: GrpcReplica, number: int, share: float = 100.0) -> None:
    """Give the route this shadow."""
    reconciler = replica.ingress.reconciler
    catalog = catalog_of([identity()])
    route = RouteRecord(1, shadow=Shadow(number, share))
    record = replace(counting().record, model=MODEL)
    versions = {(MODEL, one): replace(record, number=one, digest=f"d{one}") for one in (1, number)}
    models = {MODEL: replace(catalog.models[MODEL], route=route)}
    reconciler.want(Catalog(reconciler.applied_revision + 1, models, versions))
    await wait_until_settled(reconciler)


async def asked(replica: GrpcReplica, value: int, times: int = 2) -> list[tuple[str, str]]:
    """What callers of every wire are answered by, so many times."""
    answers = [await ask(replica, Question(MODEL, (value,))) for _ in range(times) for ask in ASKS]
    return [(answer.version, answer.route or "stable") for answer in answers]


def counts_of(replica: GrpcReplica, number: int) -> Counts:
    """What was counted of a version."""
    return replica.ingress.book.of(MODEL, number).totals()


async def wait_for_copies(replica: GrpcReplica, number: int) -> None:
    """Wait until no copy is under way, by unloading the version that runs them."""
    reconciler = replica.ingress.reconciler
    await put_in_shadow(replica, GOOD if number != GOOD else FAILING)
    while number in [one.number for one in reconciler.versions_of(MODEL)]:
        reconciler.changed.clear()
        await reconciler.changed.wait()


EXPECTED = [("1", "stable")] * 10


@pytest.mark.parametrize("front", FRONTS)
async def test_no_caller_feels_a_shadow(tmp_path: Path, front: str) -> None:
    """Every wire is answered by the stable version alone; the shadow's version has the counts."""
    async with shadowed(tmp_path, front) as replica:
        await put_in_shadow(replica, GOOD)
        good = await asked(replica, 1)
        await wait_for_copies(replica, GOOD)

        await put_in_shadow(replica, FAILING)
        failing_ = await asked(replica, 1)
        await wait_for_copies(replica, FAILING)

        await put_in_shadow(replica, ENDLESS, share=20.0)
        endless = await asked(replica, LONG)
        under_way = replica.ingress.reconciler.table.ready[MODEL, ENDLESS].scheduler.in_flight
        await wait_for_copies(replica, ENDLESS)

        await put_in_shadow(replica, MISSING)
        missing = await asked(replica, 1)
        counts = {number: counts_of(replica, number) for number in (1, *range(GOOD, MISSING + 1))}

    assert EXPECTED == good == failing_ == endless == missing
    assert (10, {"shadow": 10}) == (counts[GOOD].successes, counts[GOOD].routes)
    assert (0, 10) == (counts[FAILING].successes, sum(counts[FAILING].errors.values()))
    assert under_way >= 1
    assert (0, 2) == (counts[ENDLESS].successes, sum(counts[ENDLESS].errors.values()))
    assert (0, 0) == (counts[MISSING].successes, sum(counts[MISSING].errors.values()))
    assert (40, {}) == (counts[1].successes, counts[1].errors)
