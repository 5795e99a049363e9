"""Batches under a latency objective, on ONNX Runtime behind both fronts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from headrace.datatypes import Datatype
from headrace.state.records import Batching, ServingConfig, TensorSpec
from headrace_inference.domain.versions.batch_executor import ALONE_FIRST
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, open_grpc_replica, request
from tests.rpc.rest_fixtures import Model, model
from tests.rpc.test_endless_runs import PATIENCE_SECONDS

ROWS = 4
WIDTH = 2048
A_MINUTE = 60_000_000


def wide(objective_us: int) -> Model:
    """Two layers of 4 million weights each: a run takes milliseconds, and hardly more for four rows."""
    weights = np.random.default_rng(0).normal(size=(WIDTH, WIDTH)).astype(np.float32)
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(weights, "w")),
        helper.make_node("MatMul", ["x", "w"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "w"], ["y"]),
    ]
    specs = [TensorSpec(name, Datatype.FP32, (-1, WIDTH)) for name in ("x", "y")]
    served = model("wide", nodes, specs[:1], specs[1:])
    batching = Batching(ROWS, latency_objective_microseconds=objective_us)
    config = ServingConfig(batching=batching, instances=1)
    return replace(served, record=replace(served.record, config=config))


async def ask(replica: GrpcReplica, rows: int = 1) -> None:
    """One request of so many rows."""
    await replica.stub.ModelInfer(request("wide", np.ones((rows, WIDTH), np.float32)))


async def runs_of_four(replica: GrpcReplica, *, together: bool) -> int:
    """How many runs answer four requests: each comes when the one before waits, or was answered."""
    scheduler = replica.ingress.reconciler.table.find("wide", "").scheduler
    counters = replica.ingress.book.of("wide", 1)
    before = counters.totals().executions
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        for place in range(1, ROWS + 1):
            task = tasks.create_task(ask(replica))
            while together and place < ROWS and scheduler.waiting < place:  # noqa: ASYNC110
                await asyncio.sleep(0)
            if not together:
                await task
    return counters.totals().executions - before


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize(("objective_us", "runs"), [(A_MINUTE, 1), (0, ROWS)])
async def test_batches_wait_for_more_rows_while_there_is_time(
    tmp_path: Path, front: str, objective_us: int, runs: int
) -> None:
    """A free instance takes what there is; with an objective far away it waits until the batch is full."""
    async with open_grpc_replica(tmp_path, wide(objective_us), front=front) as replica:
        for _ in range(ALONE_FIRST):  # full batches, which wait for nobody
            await ask(replica, ROWS)
        assert runs == await runs_of_four(replica, together=runs == 1)
