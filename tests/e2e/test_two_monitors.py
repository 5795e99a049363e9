"""Two monitors share two replicas: every answered request is counted once, also over a kill of one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace.inference import grpc_service_pb2, grpc_service_pb2_grpc
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import monitor_service_pb2_grpc, peer_service_pb2, peer_service_pb2_grpc
from headrace_inference.adapters.telemetry_sending import by_preference
from tests.rpc.test_quality_end_to_end import ROWS, classifier
from tests.rpc.test_serve_folder import serving

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

AWAY = pb.Gap.REASON_MONITOR_AWAY


class MonitorProcess:
    """A monitor as a process, which keeps its folder and its port."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._port = "0"
        self.address = ""

    @asynccontextmanager
    async def running(self, peers: str = "") -> AsyncIterator[Monitor]:
        """It runs while inside; at the end it gets SIGKILL."""
        reading, writing = os.pipe()
        flags = ["--data", str(self._data), "--grpc-port", self._port, "--http-port", "0"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "headrace_monitor", *flags, "--ready-fd", str(writing)),
            *(["--peers", peers] if peers else []),
            pass_fds=[writing],
            stderr=asyncio.subprocess.DEVNULL,
        )
        os.close(writing)
        try:
            with os.fdopen(reading) as ready:
                self.address = json.loads(await asyncio.to_thread(ready.readline))["grpc"]
            self._port = self.address.rpartition(":")[2]
            async with grpc.aio.insecure_channel(self.address) as channel:
                yield Monitor(channel)
        finally:
            process.kill()
            await process.wait()


class Monitor:
    """What a monitor answers."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._monitor: Any = monitor_service_pb2_grpc.MonitorServiceStub(channel)
        self._peer: Any = peer_service_pb2_grpc.PeerServiceStub(channel)

    async def when(self, holds: Callable[[Any], bool]) -> Any:
        """The statistics of ten minutes, once this holds of them."""
        query = pb.QueryStatisticsRequest(model="choice", by_replica=True)
        query.window.FromSeconds(600)
        watch = pb.WatchStatisticsRequest(query=query)
        watch.interval.FromMilliseconds(100)
        found = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                async for found in self._monitor.WatchStatistics(watch):
                    if holds(found):
                        return found
        raise AssertionError(found and (successes(found), found.replicas, found.gaps))

    async def series(self) -> int:
        """The successes of ten minutes, by the steps of a series."""
        request = pb.QuerySeriesRequest(query=pb.QueryStatisticsRequest(model="choice"))
        request.query.window.FromSeconds(600)
        found = await self._monitor.QuerySeries(request)
        return sum(successes(step) for step in found.steps)

    async def own(self, replica: str) -> int:
        """How many stretches of time this one alone knows something of this replica: 1 or 0."""
        window = pb.QueryStatisticsRequest(model="choice", by_replica=True)
        window.window.FromSeconds(600)
        whole = await self._monitor.QueryStatistics(window)
        end = whole.end_time.ToNanoseconds()
        stretch = {"resolution": 60, "first": end // 60_000_000_000 * 60 - 600}
        asked = peer_service_pb2.QueryTalliesRequest(
            model="choice",
            by_replica=True,
            stretches=[{**stretch, "last": end // 10**9 // 60 * 60, "start_ns": 1, "end_ns": end}],
        )
        found = await self._peer.QueryTallies(asked)
        names = [each.replica for each in found.stretches[0].tallies]
        return names.count(replica)


def successes(found: Any) -> int:
    return sum(each.success_count for each in found.statistics)


def replicas_of(found: Any) -> set[str]:
    return {each.replica for each in found.statistics}


def whole(requests: int) -> Callable[[Any], bool]:
    """True for an answer that has so many requests, and no gap."""
    return lambda found: successes(found) >= requests and not found.gaps


def named(*addresses: str) -> list[str]:
    """Names of two replicas: one reports to the first of the monitors, one to the second."""
    names = (f"replica-{number}" for number in count())
    found: dict[str, str] = {}
    while len(found) < len(addresses):
        name = next(names)
        found.setdefault(by_preference(name, addresses)[0], name)
    return [found[address] for address in addresses]


async def call(address: str, times: int) -> int:
    """Ask so many times; how many were answered."""
    request = grpc_service_pb2.ModelInferRequest(model_name="choice")
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[3, 2])
    tensor.contents.fp32_contents.extend(ROWS.ravel().tolist())
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for _ in range(times):
            await stub.ModelInfer(request)
    return times


async def test_every_request_is_counted_once_over_the_kill_of_a_monitor(tmp_path: Path) -> None:
    (tmp_path / "models" / "choice").mkdir(parents=True)
    (tmp_path / "models" / "choice" / "model.onnx").write_bytes(classifier())
    first, second = MonitorProcess(tmp_path / "first"), MonitorProcess(tmp_path / "second")
    async with first.running():
        pass  # for its port
    told = 0

    @asynccontextmanager
    async def replica(name: str) -> AsyncIterator[str]:
        own: dict[str, Any] = {"replica_id": name, "telemetry_seconds": 0.05}
        monitors = f"{first.address},{second.address}"
        async with serving(
            tmp_path / "models", tmp_path / name, monitor_address=monitors, **own
        ) as served:
            yield served.fronts.grpc_address

    async with second.running(first.address) as at_second:
        of_first, of_second = named(first.address, second.address)
        async with contextlib.AsyncExitStack() as life, contextlib.AsyncExitStack() as replicas:
            at_first = await life.enter_async_context(first.running(second.address))
            one = await replicas.enter_async_context(replica(of_first))
            other = await replicas.enter_async_context(replica(of_second))
            told += await call(one, 40) + await call(other, 30)
            for monitor in (at_first, at_second):
                assert told == successes(await monitor.when(whole(told)))
                assert told == await monitor.series()
            assert (1, 0) == (await at_first.own(of_first), await at_first.own(of_second))
            assert (0, 1) == (await at_second.own(of_first), await at_second.own(of_second))

            told += await call(one, 25)
            await life.aclose()
            told += await call(one, 20) + await call(other, 10)
            while of_first not in replicas_of(away := await at_second.when(lambda _: True)):
                told += await call(one, 1)
            (gap,) = away.gaps
            assert (AWAY, first.address) == (gap.reason, gap.monitor)
            told += await call(one, 5)

            at_first = await life.enter_async_context(first.running(second.address))
            for monitor in (at_first, at_second):
                found = await monitor.when(whole(told))
                timed = sum(each.total.count for each in found.statistics)
                assert (told, told) == (successes(found), timed)
                assert told == await monitor.series()
            told += await call(one, 15)
            assert told == successes(await at_first.when(whole(told)))
            await replicas.aclose()
            assert told == successes(await at_second.when(whole(told)))
