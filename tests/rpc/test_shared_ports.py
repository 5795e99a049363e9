"""Two replicas of a machine behind one port for gRPC and one for REST: what callers set, ask and count."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.local.commands import SuiteOptions
from headrace.local.shared_ports import kept_ports
from headrace_inference.adapters import siblings
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import GOOD, echo
from tests.rpc.test_inference_model_control import config, graph, load, scaling

NAME = "echo-FP32"
X = np.array([1, 2], np.float32)
OPTIONS = [("grpc.use_local_subchannel_pool", 1)]
"""Every channel is a connection of its own, which the system gives to one of the replicas."""


@dataclass
class Shared:
    """Ports that replicas share, and those that were opened."""

    folder: Path
    grpc: str
    http: str
    metrics: str
    options: dict[str, Any]
    replicas: list[GrpcReplica]

    async def open(self, stack: AsyncExitStack, **more: Any) -> GrpcReplica:
        """One more replica behind the ports, until the stack closes."""
        name = f"replica-{len(self.replicas)}"
        folder = self.folder / name
        await asyncio.to_thread(folder.mkdir)
        options = self.options | more | {"replica_id": name}
        opening = open_grpc_replica(folder, echo(Datatype.FP32), **options)
        self.replicas.append(await stack.enter_async_context(opening))
        return self.replicas[-1]

    @asynccontextmanager
    async def stub(self) -> AsyncIterator[Any]:
        """A stub over a new connection to the shared port."""
        async with grpc.aio.insecure_channel(self.grpc, options=OPTIONS) as channel:
            yield pb_grpc.GRPCInferenceServiceStub(channel)

    async def rest(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the JSON of a call over a new connection to the shared port."""
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://{self.http}{path}", json=body) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if text else None

    async def call_until_both_answered(self) -> int:
        """Call the model over new connections until each replica has answered; how often."""
        calls = 0
        async with asyncio.timeout(30):
            while not all(map(answered, self.replicas)):
                async with self.stub() as stub:
                    await stub.ModelInfer(request(NAME, X))
                status, _ = await self.rest("POST", f"/v2/models/{NAME}/infer", GOOD)
                assert 200 == status
                calls += 2
        return calls


def answered(replica: GrpcReplica) -> int:
    """How many requests it answered well."""
    return sum(statistics.totals().total.count for _, statistics in replica.ingress.book.items())


@asynccontextmanager
async def sharing(folder: Path, count: int = 2, **options: Any) -> AsyncIterator[Shared]:
    """So many replicas with the echo model behind the same ports."""
    async with AsyncExitStack() as stack:
        wanted = SuiteOptions(folder, replicas=2).with_free_ports()
        ports = stack.enter_context(kept_ports(wanted))
        options |= {f"shared_{kind}_port": port for kind, port in ports.items()}
        options["shared_folder"] = folder / "shared"
        at = {kind: f"127.0.0.1:{port}" for kind, port in ports.items()}
        shared = Shared(folder, at["grpc"], at["http"], at["metrics"], options, [])
        for _ in range(count):
            await shared.open(stack)
        yield shared


@pytest.mark.parametrize("front", FRONTS)
async def test_calls_reach_all_and_are_counted_once(tmp_path: Path, front: str) -> None:
    """Connections are spread over the replicas, and the shared port tells the sum of their counts."""
    async with sharing(tmp_path, front=front) as shared:
        calls = await shared.call_until_both_answered()
        async with shared.stub() as stub:
            told = await stub.ModelStatistics(pb.ModelStatisticsRequest(name=NAME, version="1"))
        _, over_rest = await shared.rest("GET", f"/v2/models/{NAME}/stats")
        own = [
            await replica.stub.ModelStatistics(pb.ModelStatisticsRequest(name=NAME))
            for replica in shared.replicas
        ]
        unknown = await failure_of(
            shared.replicas[0].stub.ModelStatistics(pb.ModelStatisticsRequest(name="none"))
        )

    counts = [
        told.model_stats[0].inference_stats.success.count,
        told.model_stats[0].inference_count,
    ]
    assert [calls, calls] == counts
    assert calls == over_rest["model_stats"][0]["inference_stats"]["success"]["count"]
    parts = [part.model_stats[0].inference_stats.success for part in own]
    assert calls == sum(part.count for part in parts)
    assert told.model_stats[0].inference_stats.success.ns == sum(part.ns for part in parts)
    batches = {
        batch.batch_size: batch.compute_infer.count for batch in told.model_stats[0].batch_stats
    }
    assert {1: told.model_stats[0].execution_count} == batches
    assert "NOT_FOUND" == unknown[0]


@contextmanager
def region(key: str, data: bytes) -> Iterator[None]:
    """A stretch of the system's shared memory that holds this."""
    path = Path("/dev/shm") / key.lstrip("/")
    path.write_bytes(data)
    try:
        yield
    finally:
        path.unlink()


def register(name: str, key: str) -> Any:
    """A request to register the eight bytes under a key."""
    return pb.SystemSharedMemoryRegisterRequest(name=name, key=key, offset=0, byte_size=8)


async def regions_of(replica: GrpcReplica) -> list[str]:
    """The names of the regions that a replica itself knows."""
    status = await replica.stub.SystemSharedMemoryStatus(pb.SystemSharedMemoryStatusRequest())
    return sorted(status.regions)


async def test_shared_memory_is_known_to_all_and_to_those_that_come_later(tmp_path: Path) -> None:
    """A region registered over one connection is one on every other, over both wires."""
    key = f"/headrace-{os.getpid()}"
    async with AsyncExitStack() as stack:
        stack.enter_context(region(key, X.tobytes()))
        shared = await stack.enter_async_context(sharing(tmp_path, allow_client_shared_memory=True))
        async with shared.stub() as stub:
            await stub.SystemSharedMemoryRegister(register("first", key))
            again = await failure_of(stub.SystemSharedMemoryRegister(register("first", key)))
        body = {"key": key, "byte_size": 8}
        path = "/v2/systemsharedmemory/region"
        assert 200 == (await shared.rest("POST", f"{path}/second/register", body))[0]
        assert 200 == (await shared.rest("POST", f"{path}/third/register", body))[0]
        assert 200 == (await shared.rest("POST", f"{path}/second/unregister"))[0]
        later = await shared.open(stack)
        known = [await regions_of(replica) for replica in shared.replicas]
        for replica in shared.replicas:
            message = request(NAME, X)
            message.raw_input_contents.pop()
            parameters = message.inputs[0].parameters
            parameters["shared_memory_region"].string_param = "first"
            parameters["shared_memory_byte_size"].int64_param = 8
            answer = await replica.stub.ModelInfer(message)
            assert X.tobytes() == answer.raw_output_contents[0]
        async with shared.stub() as stub:
            await stub.SystemSharedMemoryUnregister(pb.SystemSharedMemoryUnregisterRequest())
        left = [await regions_of(replica) for replica in shared.replicas]

    assert ("ALREADY_EXISTS", "REGION_EXISTS") == again[:2]
    assert [["first", "third"]] * 3 == known
    assert [[]] * 3 == left
    assert later is shared.replicas[2]


async def test_a_region_that_one_cannot_have_none_has(tmp_path: Path) -> None:
    """What another replica refuses is refused, and taken back here."""
    key = f"/headrace-{os.getpid()}-one"
    async with AsyncExitStack() as stack:
        stack.enter_context(region(key, X.tobytes()))
        shared = await stack.enter_async_context(
            sharing(tmp_path, 1, allow_client_shared_memory=True)
        )
        async with shared.stub() as stub:
            await stub.ServerLive(pb.ServerLiveRequest())  # a connection to the first
            await shared.open(stack, allow_client_shared_memory=False)
            refused = await failure_of(stub.SystemSharedMemoryRegister(register("r", key)))
        assert [] == await regions_of(shared.replicas[0])

    assert ("UNIMPLEMENTED", "SHARED_MEMORY_DISABLED") == refused[:2]


async def test_models_of_callers_are_loaded_by_all(tmp_path: Path) -> None:
    """Loading and unloading through the shared port reach every replica, also one that joins later."""
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(sharing(tmp_path, model_control="explicit"))
        async with shared.stub() as stub:
            await stub.RepositoryModelLoad(load("mine", config(name="mine"), graph(1, scaling(3))))
            await stub.RepositoryModelLoad(
                load("other", config(name="other"), graph(1, scaling(5)))
            )
            await stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="other"))
            wrong = await failure_of(
                stub.RepositoryModelLoad(load("bad", config(name="bad"), graph(1, b"nothing")))
            )
        unloaded, _ = await shared.rest("POST", f"/v2/repository/models/{NAME}/unload")
        await shared.open(stack)
        listed = [await ready_of(replica.stub) for replica in shared.replicas]
        async with shared.stub() as stub:
            assert (await stub.ModelReady(pb.ModelReadyRequest(name="mine"))).ready
            gone = await failure_of(stub.ModelReady(pb.ModelReadyRequest(name=NAME)))
            assert "NOT_FOUND" == gone[0]
            assert ["mine"] == await ready_of(stub)
        back, _ = await shared.rest("POST", f"/v2/repository/models/{NAME}/load")
        await shared.open(stack)
        listed_then = [await ready_of(replica.stub) for replica in shared.replicas]

    assert "INVALID_ARGUMENT" == wrong[0]
    assert (200, 200) == (unloaded, back)
    assert [["mine"]] * 3 == listed
    assert [[NAME, "mine"]] * 4 == listed_then


async def ready_of(stub: Any) -> list[str]:
    """The models that are ready, by the index."""
    index = await stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True))
    return sorted(entry.name for entry in index.models)


async def test_a_model_is_ready_where_all_can_answer(tmp_path: Path) -> None:
    """One that a single replica unloaded, at its own port, is not ready at the shared one."""
    async with sharing(tmp_path, model_control="explicit") as shared:
        path = f"/v2/models/{NAME}/ready"
        assert 200 == (await shared.rest("GET", path))[0]
        unload = pb.RepositoryModelUnloadRequest(model_name=NAME)
        await shared.replicas[1].stub.RepositoryModelUnload(unload)
        assert 200 != (await shared.rest("GET", path))[0]
        async with shared.stub() as stub:
            assert [] == await ready_of(stub)
        assert [NAME] == await ready_of(shared.replicas[0].stub)


async def test_settings_of_logs_and_traces_hold_for_all(tmp_path: Path) -> None:
    """What is changed over one connection holds on every other, and for those that join later."""
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(
            sharing(tmp_path, trace_file=tmp_path / "traces.json")
        )
        async with shared.stub() as stub:
            traces = pb.TraceSettingRequest(model_name=NAME)
            traces.settings["trace_rate"].value.append("7")
            await stub.TraceSetting(traces)
            logs = pb.LogSettingsRequest()
            logs.settings["log_verbose_level"].uint32_param = 1
            await stub.LogSettings(logs)
        await shared.rest("POST", f"/v2/models/{NAME}/trace/setting", {"trace_count": "5"})
        await shared.rest("POST", "/v2/logging", {"log_warning": False})
        await shared.open(stack)
        seen = [await settings_of(replica.stub) for replica in shared.replicas]

    assert [("7", "5", 1, False)] * 3 == seen


async def settings_of(stub: Any) -> tuple[str, str, int, bool]:
    """The settings that the test changes."""
    traces = (await stub.TraceSetting(pb.TraceSettingRequest(model_name=NAME))).settings
    logs = (await stub.LogSettings(pb.LogSettingsRequest())).settings
    verbose, warning = logs["log_verbose_level"].uint32_param, logs["log_warning"].bool_param
    return traces["trace_rate"].value[0], traces["trace_count"].value[0], verbose, warning


async def test_the_shared_page_of_metrics_has_the_series_of_all(tmp_path: Path) -> None:
    """Whichever replica answers: each series with its replica's name, and the counts are exact."""
    async with sharing(tmp_path) as shared:
        calls = await shared.call_until_both_answered()
        page = await page_of(shared.metrics)
        own = [await page_of(replica.metrics_address) for replica in shared.replicas]

    families = list(text_string_to_metric_families(page))
    assert len(families) == len({family.name for family in families})
    counts = answered_by_replica(page)
    assert {f"replica-{at}": answered(each) for at, each in enumerate(shared.replicas)} == counts
    assert calls == sum(counts.values())
    for at, text in enumerate(own):
        mine = {line.partition("{")[0] for line in page.splitlines() if f"replica-{at}" in line}
        assert {re.split("[{ ]", line)[0] for line in text.splitlines() if line[0] != "#"} == mine


async def page_of(address: str) -> str:
    """The page of metrics at an address."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/metrics") as response,
    ):
        assert 200 == response.status
        return await response.text()


def answered_by_replica(page: str) -> dict[str, float]:
    """The requests answered well, by the label of the replica."""
    counts: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == "headrace_inference_requests_total":
                replica = sample.labels["replica"]
                counts[replica] = counts.get(replica, 0) + sample.value
    return counts


async def test_a_replica_that_does_not_answer_is_named(tmp_path: Path) -> None:
    """One that lives and hangs fails what all have to do; one that is gone is not waited for."""
    async with sharing(tmp_path, 1) as shared, shared.stub() as stub:
        statistics = partial(stub.ModelStatistics, pb.ModelStatisticsRequest(name=NAME))
        member = tmp_path / "shared" / "members" / "hanging"
        member.write_text(json.dumps({"grpc": "127.0.0.1:1", "metrics": "127.0.0.1:1"}))
        assert "OK" == (await failure_of(statistics()))[0]
        with member.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            failure = await failure_of(statistics())
            page = await page_of(shared.metrics)
        assert "OK" == (await failure_of(statistics()))[0]

    assert ("UNAVAILABLE", "REPLICA_UNREACHABLE") == failure[:2]
    assert "replica hanging" in failure[2]
    assert 'replica="replica-0"' in page


async def test_a_turn_that_another_keeps_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that hangs while it sets something fails what others want to set, and says so."""
    monkeypatch.setitem(siblings.TURNS, "memory", 0.05)
    async with (
        sharing(tmp_path, 1, allow_client_shared_memory=True) as shared,
        shared.stub() as stub,
    ):
        with (tmp_path / "shared" / "turns" / "memory").open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            failure = await failure_of(stub.SystemSharedMemoryRegister(register("r", "/none")))
    assert ("UNAVAILABLE", "REPLICA_UNREACHABLE") == failure[:2]


async def test_callers_at_once_leave_all_alike(tmp_path: Path) -> None:
    """Of many that register and forget the same name at a time, all replicas have the same left."""
    key = f"/headrace-{os.getpid()}-many"
    async with AsyncExitStack() as stack:
        stack.enter_context(region(key, X.tobytes()))
        shared = await stack.enter_async_context(sharing(tmp_path, allow_client_shared_memory=True))

        async def one(number: int) -> None:
            async with shared.stub() as stub:
                name = f"r{number % 3}"
                await failure_of(stub.SystemSharedMemoryRegister(register(name, key)))
                if number % 2:
                    forget = pb.SystemSharedMemoryUnregisterRequest(name=name)
                    await stub.SystemSharedMemoryUnregister(forget)

        await asyncio.gather(*map(one, range(24)))
        first, second = [await regions_of(replica) for replica in shared.replicas]
        later = await regions_of(await shared.open(stack))

    assert first == second == later
