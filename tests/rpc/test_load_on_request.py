"""A replica with caps: what is not loaded is loaded for the request that asks for it, on every wire."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from onnx import helper

from headrace.datatypes import Datatype
from headrace.errors import FailedPrecondition
from headrace.inference import grpc_service_pb2 as pb
from headrace.state.records import QueuePolicy, TensorSpec, VersionRecord
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.domain.scheduling.runner import Runner
from tests.rpc.grpc_fixtures import (
    FRONTS,
    GrpcReplica,
    failure_of,
    open_grpc_replica,
    request,
)
from tests.rpc.rest_fixtures import Model, catalog_of, model

NAMES = ("m0", "m1", "m2", "m3")
ONES = np.ones((1, 2), dtype=np.float32)


def adder(name: str) -> Model:
    """A model mN that answers y = x + N, in batches."""
    specs = [TensorSpec(tensor, Datatype.FP32, (-1, 2)) for tensor in ("x", "y")]
    number = helper.make_node("Constant", [], ["n"], value_float=float(name[1:]))
    add = helper.make_node("Add", ["x", "n"], ["y"])
    return model(name, [number, add], specs[:1], specs[1:], max_batch_size=8)


class Opener:
    """Opens sessions; loads of one model wait for a gate, those of another fail."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gated = ""
        self.failing = ""
        self.opened: list[str] = []

    def __call__(self, path: Path, record: VersionRecord) -> Runner:
        self.opened.append(record.model)
        if record.model == self.gated:
            assert self.gate.wait(20)
        if record.model == self.failing:
            raise FailedPrecondition("MODEL_UNLOADABLE", "it is broken")
        return open_session(path, record)


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


@asynccontextmanager
async def replica_of(
    folder: Path, opener: Opener, *names: str, **options: Any
) -> AsyncIterator[GrpcReplica]:
    """A replica with these models; after the test its gates are open."""
    models = [adder(name) for name in names]
    try:
        async with open_grpc_replica(folder, *models, open_model=opener, **options) as replica:
            yield replica
            opener.gate.set()
    finally:
        opener.gate.set()


def loaded(replica: GrpcReplica) -> list[str]:
    """The models that are loaded."""
    return sorted(name for name, _ in replica.ingress.reconciler.table.ready)


def cold(replica: GrpcReplica, *names: str) -> str:
    """One of the models that is not loaded."""
    return next(name for name in names if name not in loaded(replica))


async def until(condition: Any) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.005)


async def ask_grpc(replica: GrpcReplica, name: str) -> float:
    answer = await replica.stub.ModelInfer(request(name, ONES), timeout=20)
    assert ("1", "stable") == (
        answer.model_version,
        answer.parameters["headrace.route"].string_param,
    )
    return float(np.frombuffer(answer.raw_output_contents[0], np.float32)[0])


async def ask_stream(replica: GrpcReplica, name: str) -> float:
    call = replica.stub.ModelStreamInfer(timeout=20)
    await call.write(request(name, ONES))
    await call.done_writing()
    (answer,) = [answer async for answer in call]
    assert "" == answer.error_message
    return float(np.frombuffer(answer.infer_response.raw_output_contents[0], np.float32)[0])


async def ask_rest(replica: GrpcReplica, name: str) -> float:
    body = {
        "inputs": [
            {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": ONES.ravel().tolist()}
        ]
    }
    return float((await _post(replica, f"/v2/models/{name}/infer", body))["outputs"][0]["data"][0])


async def ask_generate(replica: GrpcReplica, name: str) -> float:
    body = {"x": [1.0, 1.0]}
    return float((await _post(replica, f"/v2/models/{name}/generate", body))["y"][0])


async def _post(replica: GrpcReplica, path: str, body: object) -> Any:
    url = f"http://{replica.http_address}{path}"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        assert 200 == response.status, await response.text()
        return await response.json()


WIRES = {"grpc": ask_grpc, "stream": ask_stream, "rest": ask_rest, "generate": ask_generate}


@pytest.mark.parametrize("wire", WIRES)
async def test_whatever_is_asked_for_is_loaded(tmp_path: Path, front: str, wire: str) -> None:
    """More models than may be loaded all answer, in any order, and no more are ever loaded."""
    opener = Opener()
    async with replica_of(tmp_path, opener, *NAMES, front=front, max_loaded_versions=2) as replica:
        assert 2 == len(loaded(replica))
        for name in (*NAMES, *reversed(NAMES), "m0", "m3"):
            assert 1.0 + int(name[1:]) == await WIRES[wire](replica, name)
            assert name in loaded(replica)
            assert len(loaded(replica)) <= 2


async def test_many_callers_of_a_cold_model_share_its_load(tmp_path: Path, front: str) -> None:
    """A burst for models that are not loaded: each is loaded once, and all get their answers."""
    opener = Opener()
    async with replica_of(tmp_path, opener, *NAMES, front=front, max_loaded_versions=3) as replica:
        name = cold(replica, *NAMES)
        before = len(opener.opened)
        answers = await asyncio.gather(*(ask_grpc(replica, name) for _ in range(50)))
    assert {1.0 + int(name[1:])} == set(answers)
    assert [name] == opener.opened[before:]


async def test_what_stands_by_is_shown_as_ready_and_serves(tmp_path: Path, front: str) -> None:
    """Questions about it are answered, and load nothing; the index says why it is ready."""
    opener = Opener()
    async with replica_of(tmp_path, opener, *NAMES, front=front, max_loaded_versions=1) as replica:
        stub, before = replica.stub, list(opener.opened)
        name = cold(replica, *NAMES)
        ready = await stub.ModelReady(pb.ModelReadyRequest(name=name))
        metadata = await stub.ModelMetadata(pb.ModelMetadataRequest(name=name))
        config = await stub.ModelConfig(pb.ModelConfigRequest(name=name))
        statistics = await stub.ModelStatistics(pb.ModelStatisticsRequest(name=name))
        index = await stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True))
        assert (True, ["1"], 8) == (ready.ready, metadata.versions, config.config.max_batch_size)
        assert "x" == metadata.inputs[0].name
        assert {name} >= {each.name for each in statistics.model_stats}
        entries = {entry.name: (entry.state, entry.reason) for entry in index.models}
        assert set(NAMES) == set(entries)
        assert "READY" == entries[name][0]
        assert "standby" in entries[name][1]
        assert before == opener.opened
        assert 1.0 + int(name[1:]) == await ask_grpc(replica, name)


async def test_a_request_waits_no_longer_than_it_may(tmp_path: Path, front: str) -> None:
    """Its own deadline, or the setting; the load goes on, and the next request finds it."""
    opener = Opener()
    options = {"front": front, "max_loaded_versions": 1, "load_wait_seconds": 0.3}
    async with replica_of(tmp_path, opener, *NAMES, **options) as replica:
        name = opener.gated = cold(replica, *NAMES)
        started = time.monotonic()
        first = await failure_of(replica.stub.ModelInfer(request(name, ONES), timeout=20))
        waited = time.monotonic() - started
        second = await failure_of(replica.stub.ModelInfer(request(name, ONES), timeout=0.1))
        opener.gate.set()
        await until(lambda: name in loaded(replica))
        assert 1.0 + int(name[1:]) == await ask_grpc(replica, name)
    assert ("UNAVAILABLE", "LOAD_WAIT_TIMEOUT") == first[:2]
    assert 0.3 <= waited < 5
    assert "DEADLINE_EXCEEDED" == second[0]


async def test_a_load_that_fails_is_told_to_all_that_waited(tmp_path: Path, front: str) -> None:
    """They get its reason, and it is shown as ready no more."""
    opener = Opener()
    async with replica_of(tmp_path, opener, *NAMES, front=front, max_loaded_versions=1) as replica:
        (here,) = loaded(replica)
        name = opener.failing = cold(replica, *NAMES)
        calls = [replica.stub.ModelInfer(request(name, ONES), timeout=20) for _ in range(3)]
        failures = [await failure_of(call) for call in calls]
        ready = await replica.stub.ModelReady(pb.ModelReadyRequest(name=name))
        assert 1.0 + int(here[1:]) == await ask_grpc(replica, here)
    assert {("UNAVAILABLE", "VERSION_NOT_READY")} == {failure[:2] for failure in failures}
    assert "it is broken" in failures[0][2]
    assert not ready.ready


async def test_what_answers_requests_is_not_unloaded(tmp_path: Path, front: str) -> None:
    """While the one place is in use, a request for another model waits, and then hears of it."""
    opener = Opener()
    options = {"front": front, "max_loaded_versions": 1, "load_wait_seconds": 0.5}
    async with replica_of(tmp_path, opener, "m0", "m1", **options) as replica:
        await ask_grpc(replica, "m0")
        scheduler = replica.ingress.reconciler.table.find("m0", "").scheduler
        await until(
            scheduler.acquire_inline
        )  # as the receiving thread does while it runs a request
        try:
            refused = await failure_of(replica.stub.ModelInfer(request("m1", ONES), timeout=20))
            assert ["m0"] == loaded(replica)
        finally:
            scheduler.release_inline()
        assert 2.0 == await ask_grpc(replica, "m1")
        assert ["m1"] == loaded(replica)
    assert ("RESOURCE_EXHAUSTED", "NO_ROOM_TO_LOAD") == refused[:2]


async def test_as_many_wait_for_a_load_as_may_wait_for_a_run(tmp_path: Path, front: str) -> None:
    """The version's own queue bounds them."""
    opener = Opener()
    async with replica_of(tmp_path, opener, *NAMES, front=front, max_loaded_versions=1) as replica:
        name = opener.gated = cold(replica, *NAMES)
        catalog = replica.ingress.reconciler.table.catalog
        record = catalog.versions[name, 1]
        config = replace(record.config, queue=QueuePolicy(max_requests=2))
        narrow = {(name, 1): replace(record, config=config)}
        replica.ingress.reconciler.want(catalog.updated(2, {}, narrow))
        calls = [
            asyncio.ensure_future(
                failure_of(replica.stub.ModelInfer(request(name, ONES), timeout=20))
            )
            for _ in range(3)
        ]
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        assert [("RESOURCE_EXHAUSTED", "QUEUE_FULL")] == [call.result()[:2] for call in done]
        opener.gate.set()
        assert ["OK", "OK", "RESOURCE_EXHAUSTED"] == sorted([(await call)[0] for call in calls])


async def test_callers_that_leave_while_a_version_loads_leave_nothing(
    tmp_path: Path, front: str
) -> None:
    """Nothing is in flight for them, and the next caller is answered."""
    opener = Opener()
    async with replica_of(tmp_path, opener, *NAMES, front=front, max_loaded_versions=1) as replica:
        name = opener.gated = cold(replica, *NAMES)
        call = replica.stub.ModelInfer(request(name, ONES), timeout=20)
        await until(lambda: name in opener.opened)
        waits = replica.ingress.reconciler.standby.waits
        assert waits.any()
        call.cancel()
        await until(lambda: not waits.any())  # while it loads
        opener.gate.set()
        assert 1.0 + int(name[1:]) == await ask_grpc(replica, name)


async def test_without_caps_all_is_loaded(tmp_path: Path) -> None:
    """As ever."""
    opener = Opener()
    async with replica_of(tmp_path, opener, *NAMES) as replica:
        assert list(NAMES) == loaded(replica)


async def test_what_idles_is_unloaded_and_comes_back(tmp_path: Path, front: str) -> None:
    """After the time without a request it stands by."""
    opener = Opener()
    options = {"front": front, "unload_idle_seconds": 0.3}
    async with replica_of(tmp_path, opener, "m1", "m2", **options) as replica:
        assert ["m1", "m2"] == loaded(replica)
        await until(lambda: not loaded(replica))
        assert 2.0 == await ask_grpc(replica, "m1")
        assert ["m1"] == loaded(replica)


async def test_a_pinned_model_stays(tmp_path: Path) -> None:
    """Whatever else is asked for, and although the cap is passed; unpinned, it makes room."""
    opener = Opener()
    async with replica_of(tmp_path, opener, "m0", max_loaded_versions=1) as replica:
        reconciler = replica.ingress.reconciler
        catalog = catalog_of([adder(name) for name in NAMES])
        for name in NAMES:
            (tmp_path / f"{name}.onnx").write_bytes(adder(name).graph.SerializeToString())
        pinned = {name: replace(catalog.models[name], pinned=True) for name in ("m0", "m3")}
        reconciler.want(catalog.updated(2, pinned, {}))
        await until(lambda: {"m0", "m3"} <= set(loaded(replica)))
        for name in ("m1", "m2", "m1"):
            await ask_grpc(replica, name)
            assert ["m0", name, "m3"] == loaded(replica)
        reconciler.want(catalog.updated(3, {}, {}))
        await ask_grpc(replica, "m2")
        await until(lambda: ["m2"] == loaded(replica))


async def test_metrics_tell_few_versions_apart_and_lose_none(tmp_path: Path) -> None:
    """The rest class has what the others did; gauges say how many are loaded and how many stand by."""
    opener = Opener()
    options = {"max_loaded_versions": 1, "metrics_max_versions": 2}
    async with replica_of(tmp_path, opener, *NAMES, **options) as replica:
        for name in (*NAMES, *NAMES):
            await ask_grpc(replica, name)
        url = f"http://{replica.metrics_address}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            lines = (await response.text()).splitlines()
    requests = [line for line in lines if line.startswith("headrace_inference_requests_total{")]
    assert [2, 2, 4] == sorted(int(line.rpartition(" ")[2]) for line in requests)
    (others,) = [line for line in requests if 'model="_others",version="_others"' in line]
    assert others.endswith(" 4")
    triton = [line for line in lines if line.startswith("nv_inference_request_success{")]
    assert 8 == sum(int(line.rpartition(" ")[2]) for line in triton)
    assert "headrace_inference_loaded_versions 1" in lines
    assert "headrace_inference_standby_versions 3" in lines
