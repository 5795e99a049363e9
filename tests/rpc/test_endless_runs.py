"""Graphs that never end, on ONNX Runtime behind both fronts: they end with their callers' patience."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from headrace.datatypes import Datatype
from headrace.state.records import ServingConfig, Signature, TensorSpec, VersionRecord, WarmUp
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.domain.scheduling.runner import Runner
from tests.rpc.grpc_fixtures import FRONTS, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import Model

TURNS = 2**62
PATIENCE_SECONDS = 20


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


def counting(name: str = "counting") -> Model:
    """A model that adds 1 as often as x says: y = x, in x turns."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["value", "one"], ["next"]),
        ],
        "body",
        [
            info("turn", TensorProto.INT64, []),
            info("go", TensorProto.BOOL, []),
            info("value", TensorProto.INT64, [1]),
        ],
        [info("go_on", TensorProto.BOOL, []), info("next", TensorProto.INT64, [1])],
        [helper.make_tensor("one", TensorProto.INT64, [1], [1])],
    )
    specs = [TensorSpec(tensor, Datatype.INT64, (1,)) for tensor in ("x", "y")]
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["x", "scalar"], ["turns"]),
            helper.make_node("Loop", ["turns", "yes", "nought"], ["y"], body=body),
        ],
        name,
        [info("x", TensorProto.INT64, [1])],
        [info("y", TensorProto.INT64, [1])],
        [
            helper.make_tensor("scalar", TensorProto.INT64, [0], []),
            helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
            helper.make_tensor("nought", TensorProto.INT64, [1], [0]),
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    config = ServingConfig(warm_up=WarmUp(runs=0))
    signature = Signature(tuple(specs[:1]), tuple(specs[1:]))
    return Model(proto, VersionRecord(name, 1, "", (), "model.onnx", signature, config, 0.0))


class Begun:
    """Opens sessions that tell when they begin a run."""

    def __init__(self) -> None:
        self._runs = threading.Semaphore(0)

    def open_session(self, path: Path, record: VersionRecord) -> Runner:
        """The session."""
        runner = open_session(path, record)
        run = runner.run

        def told(inputs: Any, handle: Any = None) -> Any:
            self._runs.release()
            return run(inputs, handle)

        runner.run = runner.run_alone = told  # type: ignore[method-assign]  # the session itself stays real
        return runner

    async def wait(self) -> None:
        """Wait for a run to begin."""
        assert await asyncio.to_thread(self._runs.acquire, timeout=PATIENCE_SECONDS)


def turns(count: int) -> Any:
    """A request for so many turns."""
    return request("counting", np.array([count]), "INT64")


async def test_an_endless_run_ends_at_its_deadline(tmp_path: Path, front: str) -> None:
    """The caller hears DEADLINE_EXCEEDED, and the one instance answers the next request."""
    async with open_grpc_replica(tmp_path, counting(), front=front) as replica:
        code, _, _ = await failure_of(replica.stub.ModelInfer(turns(TURNS), timeout=0.3))
        answer = await replica.stub.ModelInfer(turns(7), timeout=PATIENCE_SECONDS)

    assert "DEADLINE_EXCEEDED" == code
    assert [7] == np.frombuffer(answer.raw_output_contents[0], np.int64).tolist()


async def test_an_endless_run_on_the_receiving_thread_ends_too(tmp_path: Path, front: str) -> None:
    """A model that was quick a hundred times may be run by the thread that receives."""
    async with open_grpc_replica(tmp_path, counting(), front=front) as replica:
        for _ in range(100):
            await replica.stub.ModelInfer(turns(1), timeout=PATIENCE_SECONDS)
        code, _, _ = await failure_of(replica.stub.ModelInfer(turns(TURNS), timeout=0.3))
        answer = await replica.stub.ModelInfer(turns(7), timeout=PATIENCE_SECONDS)

    assert "DEADLINE_EXCEEDED" == code
    assert [7] == np.frombuffer(answer.raw_output_contents[0], np.int64).tolist()


async def test_an_endless_run_ends_when_its_caller_leaves(tmp_path: Path, front: str) -> None:
    """A dropped call frees the instance that works for it."""
    begun = Begun()
    options: dict[str, Any] = {"front": front, "open_model": begun.open_session}
    async with open_grpc_replica(tmp_path, counting(), **options) as replica:
        call = replica.stub.ModelInfer(turns(TURNS))
        await begun.wait()
        behind = asyncio.ensure_future(replica.stub.ModelInfer(turns(7), timeout=PATIENCE_SECONDS))
        call.cancel()
        answer = await behind

    assert [7] == np.frombuffer(answer.raw_output_contents[0], np.int64).tolist()


async def test_a_run_without_a_deadline_ends_at_the_replicas_limit(
    tmp_path: Path, front: str
) -> None:
    """The error names the setting, over REST as well."""
    options: dict[str, Any] = {"front": front, "max_run_seconds": 0.2}
    async with open_grpc_replica(tmp_path, counting(), **options) as replica:
        code, reason, message = await failure_of(replica.stub.ModelInfer(turns(TURNS)))

    assert ("DEADLINE_EXCEEDED", "RUN_TOO_LONG") == (code, reason)
    assert "max_run_seconds" in message


async def test_a_replica_closes_while_a_run_is_endless(tmp_path: Path, front: str) -> None:
    """Draining has its end: what still runs then is abandoned, and ended."""
    begun = Begun()
    options: dict[str, Any] = {
        "front": front,
        "open_model": begun.open_session,
        "drain_seconds": 0.1,
    }
    async with open_grpc_replica(tmp_path, counting(), **options) as replica:
        call = replica.stub.ModelInfer(turns(TURNS))
        await begun.wait()

    assert call.done()
