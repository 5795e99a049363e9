"""References of traffic: of what replicas counted, and what is counted in their bins then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from headrace.inference import grpc_service_pb2_grpc
from headrace.monitor.v1 import profile_service_pb2 as pb
from headrace.monitor.v1 import profile_service_pb2_grpc
from headrace_inference.app import Replica
from tests.rpc.grpc_fixtures import request
from tests.rpc.monitors import running_monitor, seconds
from tests.rpc.registry_fixtures import eventually, onnx_file, push, running_registry
from tests.rpc.replica_fixtures import running_replica
from tests.rpc.test_cli_access import Commands

ROWS = np.random.default_rng(1).normal(size=(64, 4)).astype(np.float32)


@asynccontextmanager
async def serving(*where: Any, **more: Any) -> AsyncIterator[tuple[Replica, Any]]:
    """A replica that has the version ready, and a stub of it; what it counted is told when it ends."""
    async with (
        running_replica(*where, **more) as replica,
        grpc.aio.insecure_channel(replica.fronts.grpc_address) as channel,
    ):
        await eventually(lambda: ("digits", 1) in replica.reconciler.table.ready)
        stub: Any = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        yield replica, stub


async def test_traffic_becomes_the_reference_that_it_is_counted_by(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are counted in floats' bits; then in the reference's bins, as many in each as before."""
    async with (
        running_registry(redis_url, namespace, tmp_path / "registry") as registry,
        running_monitor(tmp_path) as monitor,
    ):
        run = Commands(registry, monkeypatch)
        more = {"namespace": namespace, "monitor_address": monitor.address}
        where = redis_url, tmp_path / "replica", registry.address
        profiles: Any = profile_service_pb2_grpc.ProfileServiceStub(monitor.channel)
        asked = pb.QueryProfilesRequest(model="digits", version=1)
        await push(registry, onnx_file())
        set_of_traffic = ("reference", "set", "digits", "--from-traffic", "1h")
        none_yet = await run("--monitor", monitor.address, *set_of_traffic)
        async with serving(*where, **more) as (_, stub):
            await stub.ModelInfer(request("digits", ROWS))
        made = await run("--monitor", monitor.address, *set_of_traffic, "--json")
        await run("reference", "enforce", "digits", "input x[0]=flag")
        shown = await run("reference", "show", "digits", "--json")
        async with serving(*where, **more) as (replica, stub):
            version = replica.reconciler.table.ready["digits", 1]
            await eventually(lambda: version.door.checks is not None)
            await stub.ModelInfer(request("digits", ROWS))
            answer = await stub.ModelInfer(request("digits", ROWS[:1] + np.float32(100)))
            asked_for = ("infer", "digits", "[[100, 0, 0, 0]]")
            said = await run("--inference", replica.fronts.grpc_address, *asked_for)
        (counts,) = (await monitor.query(model="digits", window=seconds(60))).statistics
        page = (await monitor.get("/metrics"))[1]
        found = await profiles.QueryProfiles(asked)
    before, counted = sorted((each.total for each in found.profiles), key=lambda one: one.reference)
    assert (1, True) == (none_yet.status, "SAMPLES_INVALID" in none_yet.error)
    assert ("traffic", 64) == (made.document["source"], made.document["rows"])
    assert ("", made.document["digest"]) == (before.reference, counted.reference)
    assert "not as was learnt of its data: input x[0]" == said.output.splitlines()[1]
    assert (66, 64) == (counted.rows, before.rows)
    assert "input x[0]" == answer.parameters["headrace.flagged"].string_param
    (violations,) = [each for each in counts.measures if each.name == "schema_violations"]
    assert {"input x[0]": 2} == dict(violations.labels.counts)
    assert (
        'headrace_schema_violations_total{field="input x[0]",model="digits",version="1"} 2' in page
    )
    assert 66 == sum(next(each for each in counted.counts if each.field == "input x[0]").counts)
    assert shown.document["fields"][0]["lowest"] < ROWS[:, 0].min()
