"""A replica loads what the registry has: hostile graphs hold up nothing, and a second life is quicker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from headrace import AsyncClient
from headrace.state.records import Batching, LoadState, Provider, ServingConfig
from headrace_inference.adapters.runtime.prepared_graph import GRAPH
from headrace_inference.app import Replica
from headrace_registry.app import open_registry
from tests.rpc.registry_fixtures import onnx_file
from tests.rpc.registry_fixtures import settings as registry_settings
from tests.rpc.replica_fixtures import running_replica
from tests.unit.inference.runtime.models import node

ROWS = np.arange(8, dtype=np.float32).reshape(2, 4)
WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Suite:
    """A registry and a replica, in this process, and a client of both."""

    replica: Replica
    client: AsyncClient

    async def infer(self) -> bytes:
        """The answer of the model that serves."""
        result = await self.client.infer("good", {"x": ROWS})
        return b"".join(output.tobytes() for output in result.outputs.values())

    async def loads(self, model: str) -> None:
        """Wait until a model's version loads."""
        reconciler = self.replica.reconciler
        async with asyncio.timeout(WAIT_SECONDS):
            while (model, LoadState.LOADING) not in [
                (version.model, version.state) for version in reconciler.versions()
            ]:
                reconciler.changed.clear()
                await reconciler.changed.wait()

    async def settled(self, model: str) -> tuple[LoadState, str]:
        """What became of a model's version."""
        reconciler = self.replica.reconciler
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                reconciler.changed.clear()
                for version in reconciler.versions():
                    if version.model == model and version.state is not LoadState.LOADING:
                        return version.state, version.reason
                await reconciler.changed.wait()


BATCHED = ServingConfig(provider=Provider.CPU, batching=Batching(max_batch_size=8))


def endless_in_batches() -> bytes:
    """A graph that ends with one row, as whoever tries it finds, and with no other number of them."""
    info = helper.make_tensor_value_info
    rows: list[str | int | None] = ["n", 4]
    body = helper.make_graph(
        [node("Identity", ["go"], ["go_on"]), node("Add", ["value", "x"], ["next"])],
        "body",
        [
            info("turn", TensorProto.INT64, []),
            info("go", TensorProto.BOOL, []),
            info("value", TensorProto.FLOAT, rows),
        ],
        [info("go_on", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, rows)],
    )
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "first"], ["count"]),
        node("Sub", ["count", "one"], ["others"]),
        node("Mul", ["others", "many"], ["turns"]),
        node("Loop", ["turns", "true", "x"], ["y"], body=body),
    ]
    weights = {
        "first": np.array(0),
        "one": np.array(1),
        "many": np.array(2**58),
        "true": np.array([True]).reshape(()),
    }
    graph = helper.make_graph(
        nodes,
        "endless",
        [info("x", TensorProto.FLOAT, rows)],
        [info("y", TensorProto.FLOAT, rows)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())


@asynccontextmanager
async def suite(
    redis_url: str, namespace: str, folder: Path, **changes: Any
) -> AsyncIterator[Suite]:
    """Both of them while inside."""
    chosen = registry_settings(redis_url, namespace, folder / "registry")
    async with open_registry(chosen, asyncio.Event()) as registry:
        address, settings = registry.grpc_address, {"namespace": namespace, **changes}
        async with (
            running_replica(redis_url, folder / "replica", address, **settings) as replica,
            AsyncClient(
                registry=registry.grpc_address, inference=replica.fronts.grpc_address
            ) as client,
        ):
            yield Suite(replica, client)


async def test_a_hostile_graph_fails_alone(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Its version says why; the other's answers are what they were, all the time."""
    hostile = endless_in_batches()
    async with suite(redis_url, namespace, tmp_path, load_timeout_seconds=2.0) as running:
        await running.client.push("good", onnx_file())
        await running.settled("good")
        answers = {await running.infer()}
        await running.client.push("hostile", hostile, config=BATCHED)
        settled = asyncio.create_task(running.settled("hostile"))
        while not settled.done():
            answers.add(await running.infer())
        state, reason = await settled
    assert (1, LoadState.UNAVAILABLE) == (len(answers), state)
    assert reason.startswith("LOAD_TIMEOUT: hostile/1 took more than 2 s")


async def test_deleting_a_model_ends_its_load(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Its place is the next one's at once, where only one loads at a time."""
    hostile = endless_in_batches()
    async with suite(redis_url, namespace, tmp_path, max_loading=1) as running:
        await running.client.push("hostile", hostile, config=BATCHED)
        await running.loads("hostile")
        await running.client.push("good", onnx_file())
        await running.client.delete_model("hostile", force=True)
        assert (LoadState.READY, "") == await running.settled("good")
        assert ["good"] == [version.model for version in running.replica.reconciler.versions()]


async def test_a_version_that_is_not_prepared_says_so(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Its state has the reason, and the metrics the graph that serves."""
    async with suite(redis_url, namespace, tmp_path, prepared_max_bytes=100) as running:
        await running.client.push("good", onnx_file())
        state, reason = await running.settled("good")
        assert LoadState.READY is state
        assert reason.startswith("the graph serves as it was pushed: it is over a quarter of")
        async with aiohttp.ClientSession() as session:
            metrics = f"http://{running.replica.fronts.metrics_address}/metrics"
            text = await (await session.get(metrics)).text()
    labels = 'model="good",version="1",graph="pushed"'
    assert f"headrace_inference_version_graph{{{labels}}} 1\n" in text


async def test_a_second_life_finds_versions_prepared(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What one life of a replica prepared, the next opens as it is."""
    answers: list[bytes] = []
    prepared: list[list[int]] = []
    for _ in range(2):
        async with suite(redis_url, namespace, tmp_path) as running:
            if not answers:
                await running.client.push("good", onnx_file())
            assert (LoadState.READY, "") == await running.settled("good")
            answers.append(await running.infer())
            graphs = (tmp_path / "replica" / "prepared").rglob(GRAPH)
            prepared.append([path.stat().st_ino for path in graphs])
    assert answers[0] == answers[1]
    assert prepared[0] == prepared[1]
    assert 1 == len(prepared[0])


async def test_endless_loads_hold_up_no_other(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Both places are theirs for a moment only, and what is prepared already waits for neither."""
    hostile = endless_in_batches()
    options = {"tuning_seconds": 0.0, "load_timeout_seconds": 60.0, "join_seconds": 0.0}
    async with suite(redis_url, namespace, tmp_path, slow_load_seconds=0.5, **options) as running:
        for model in ("endless", "endless-too"):
            await running.client.push(model, hostile, config=BATCHED)
            await running.loads(model)
        await running.client.push("good", onnx_file())
        assert (LoadState.READY, "") == await running.settled("good")
        states = {each.model: each.state for each in running.replica.reconciler.versions()}
    assert {LoadState.LOADING} == {states["endless"], states["endless-too"]}
    async with suite(redis_url, namespace, tmp_path, slow_load_seconds=60.0, **options) as running:
        assert (LoadState.READY, "") == await running.settled("good")
