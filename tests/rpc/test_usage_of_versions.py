"""Processor time and energy of versions: from a replica's runs to the monitor's answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from headrace.datatypes import Datatype
from headrace_inference.adapters.energy import ProcessUsage
from headrace_inference.adapters.telemetry import TelemetryBuffer
from tests.rpc.grpc_fixtures import open_grpc_replica, request
from tests.rpc.monitors import running_monitor
from tests.rpc.rest_fixtures import echo

ROW = np.array([1], np.float32)


async def test_a_version_that_ran_has_its_share_and_one_that_did_not_has_none(
    tmp_path: Path,
) -> None:
    models = echo(Datatype.FP32), echo(Datatype.FP64)
    async with (
        open_grpc_replica(tmp_path, *models) as replica,
        running_monitor(tmp_path / "monitor") as monitor,
    ):
        usage = ProcessUsage(10.0, powercap=tmp_path)
        buffer = TelemetryBuffer("a", replica.ingress.book, 10, usage)
        answers = (replica.stub.ModelInfer(request("echo-FP32", ROW)) for _ in range(50))
        await asyncio.gather(*answers)
        buffer.collect()
        await monitor.send(buffer.after(0), sent_ns=1_700_000_000_000_000_000)
        found = await monitor.query(end_time=None)
    ran, idle = (
        {measure.name: measure for measure in each.measures}
        for each in sorted(found.statistics, key=lambda each: each.model)
    )
    assert not {"cpu_time_us", "energy_mj"} & set(idle)
    used_us = ran["cpu_time_us"].count
    assert used_us > 0
    (source,) = ran["energy_mj"].labels.counts
    assert source == "model"
    assert abs(ran["energy_mj"].labels.counts["model"] - used_us / 100) <= 1
