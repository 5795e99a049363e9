"""Each metric against traffic that is known: on every front, and on every service's /metrics."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.adapters.allocator import in_use
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica
from tests.rpc.monitors import running_monitor
from tests.rpc.registry_fixtures import running_registry
from tests.rpc.rest_fixtures import arithmetic
from tests.rpc.test_endless_runs import TURNS, Begun, counting, turns

IN_FLIGHT = "headrace_inference_in_flight_requests"
LABELS = (("model", "arithmetic"), ("version", "1"))


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


async def text_of(address: str) -> str:
    """What a scraper gets."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/metrics") as response,
    ):
        return await response.text()


async def scraped(replica: GrpcReplica) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every series of a replica, by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(await text_of(replica.metrics_address))
        for sample in family.samples
    }


async def in_flight(replica: GrpcReplica) -> int:
    """What the gauge says."""
    return int((await scraped(replica))[IN_FLIGHT, ()])


async def test_the_gauge_of_requests_in_flight(tmp_path: Path, front: str) -> None:
    """A call, a streamed request and a REST request, one running and two waiting; then none."""
    begun = Begun()
    options: dict[str, Any] = {"front": front, "open_model": begun.open_session}
    body = {"inputs": [{"name": "x", "datatype": "INT64", "shape": [1], "data": [1]}]}
    async with (
        open_grpc_replica(tmp_path, counting(), **options) as replica,
        aiohttp.ClientSession() as session,
    ):
        assert 0 == await in_flight(replica)
        call = replica.stub.ModelInfer(turns(TURNS))
        await begun.wait()
        assert 1 == await in_flight(replica)
        stream = replica.stub.ModelStreamInfer()
        await stream.write(turns(1))
        url = f"http://{replica.http_address}/v2/models/counting/infer"
        rest = asyncio.ensure_future(session.post(url, json=body))
        scheduler = replica.ingress.reconciler.table.find("counting", "").scheduler
        while scheduler.waiting < 2:  # noqa: ASYNC110  # the threads of the front know no event loop
            await asyncio.sleep(0.002)
        assert 3 == await in_flight(replica)
        series = await scraped(replica)
        waiting = ("headrace_inference_waiting_requests", (("model", "counting"), ("version", "1")))
        assert 2 == series[waiting]
        call.cancel()
        await stream.done_writing()
        assert 1 == len([answer async for answer in stream])
        assert 200 == (await rest).status
        while await in_flight(replica):  # noqa: ASYNC110  # an answer is counted out once it is handed on
            await asyncio.sleep(0.002)


async def test_counters_of_known_traffic(tmp_path: Path, front: str) -> None:
    """Ten requests of three rows over gRPC, four of one row in a stream, two over REST, three refused."""
    async with (
        open_grpc_replica(tmp_path, arithmetic(), front=front) as replica,
        aiohttp.ClientSession() as session,
    ):
        for _ in range(10):
            await replica.stub.ModelInfer(asked(3))
        stream = replica.stub.ModelStreamInfer()
        for _ in range(4):
            await stream.write(asked(1))
        await stream.done_writing()
        assert 4 == len([answer async for answer in stream])
        inputs = [
            {"name": name, "datatype": "FP32", "shape": [2, 4], "data": [1] * 8} for name in "ab"
        ]
        url = f"http://{replica.http_address}/v2/models/arithmetic/infer"
        for _ in range(2):
            assert 200 == (await session.post(url, json={"inputs": inputs})).status
        for _ in range(3):
            assert "BATCH_TOO_LARGE" == (await failure_of(replica.stub.ModelInfer(asked(9))))[1]
        series = await scraped(replica)

    def value(name: str, **labels: str) -> float:
        return series[name, tuple(sorted({**dict(LABELS), **labels}.items()))]

    own = "headrace_inference"
    assert 16 == value(f"{own}_requests_total", route="stable")
    assert 38 == value(f"{own}_rows_total") == value("nv_inference_count_total")
    runs = value(f"{own}_executions_total")
    assert 1 <= runs <= 16
    assert runs == value("nv_inference_exec_count_total")
    assert 3 == value(f"{own}_errors_total", reason="BATCH_TOO_LARGE")
    for part in ("request", "queue", "compute"):
        assert 16 == value(f"{own}_{part}_seconds_count")
        assert 0 < value(f"{own}_{part}_seconds_sum") < 16
    seconds = value(f"{own}_request_seconds_sum")
    assert seconds == pytest.approx(value("nv_inference_request_duration_us_total") / 1e6, rel=0.01)
    assert seconds >= value(f"{own}_compute_seconds_sum")
    assert 16 == value("nv_inference_request_success_total")
    assert 1 == value(f"{own}_version_state", state="READY")
    assert 0 == value("nv_inference_pending_request_count")
    assert 0 < value("nv_model_load_duration_secs") < 60
    assert 1 == sum(
        count
        for (name, labels), count in series.items()
        if name == f"{own}_build_info"
        if (dict(labels)["front"], dict(labels)["allocator"]) == (front, in_use())
    )


def asked(rows: int) -> Any:
    """A request of so many rows."""
    message = pb.ModelInferRequest(model_name="arithmetic")
    for name in ("a", "b"):
        message.inputs.add(name=name, datatype="FP32", shape=[rows, 4])
        message.raw_input_contents.append(np.zeros((rows, 4), np.float32).tobytes())
    return message


def process_metrics(text: str) -> dict[str, float]:
    """The process_* series of a page."""
    found = re.findall(r"^(process_\w+) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def check_process(text: str) -> None:
    """This very process, in Prometheus' names and units."""
    shown = process_metrics(text)
    assert {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    } == set(shown)
    own = sum(os.times()[:2])
    assert 0 < shown["process_cpu_seconds_total"] <= own + 0.1
    assert 2**20 < shown["process_resident_memory_bytes"] < shown["process_virtual_memory_bytes"]
    assert 3 < shown["process_open_fds"] < shown["process_max_fds"]


on_linux: Callable[[Any], Any] = pytest.mark.skipif(
    sys.platform != "linux", reason="prometheus_client reads /proc"
)


@on_linux
async def test_a_replica_shows_its_process(tmp_path: Path) -> None:
    """Memory, CPU time, files and start."""
    async with open_grpc_replica(tmp_path, arithmetic()) as replica:
        check_process(await text_of(replica.metrics_address))


@on_linux
async def test_a_registry_shows_its_process(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Memory, CPU time, files and start."""
    async with running_registry(redis_url, namespace, tmp_path) as registry:
        check_process(await text_of(registry.http_address))


@on_linux
async def test_a_monitor_shows_its_process(tmp_path: Path) -> None:
    """Memory, CPU time, files and start."""
    async with running_monitor(tmp_path) as monitor:
        check_process((await monitor.get("/metrics"))[1])
