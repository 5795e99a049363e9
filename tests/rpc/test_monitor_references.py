"""Rows that replicas count in the bins of a reference are compared with it, as the registry keeps it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np

from headrace.client import AsyncClient, VersionDrift
from headrace.conversion.data_profiles import profile_to_proto, reference_from_proto
from headrace.data_profiles.binning import count
from headrace.data_profiles.profiles import AspectKey, Profile
from headrace.data_profiles.references import Reference
from headrace.monitor.v1 import telemetry_pb2
from tests.rpc.monitors import SECOND, FakeClock, RunningMonitor, report, running_monitor
from tests.rpc.registry_fixtures import onnx_file, push, running_registry
from tests.rpc.test_registry_references import get, reference, set_one


class Replica:
    """Reports 300 rows of the input `x` each 20 s, in the bins of a reference."""

    def __init__(self, clock: FakeClock, given: Any) -> None:
        self.clock = clock
        self.layout = given.layout
        self.reference: Reference = reference_from_proto(given)
        self.random = np.random.default_rng(2)
        self.sequence = 0

    async def report(self, monitor: RunningMonitor, shift: float = 0.0) -> None:
        """A step's rows; all but the first column are as in the reference."""
        self.clock.pass_by(20 * SECOND)
        self.sequence += 1
        made: telemetry_pb2.TelemetryReport = report("a", self.sequence, end_ns=self.clock.now_ns())
        counts = {}
        for each in self.reference.layout.fields:
            values = self.random.normal(shift if each.column == 0 else 0.0, 1, 300)
            counts[AspectKey(each.name, "value")] = count(each.aspects["value"], values)
        profile = Profile(self.reference.layout.reference, 300, 300, counts)
        told = telemetry_pb2.VersionProfile(
            model="digits", version=1, layout=self.layout, profile=profile_to_proto(profile)
        )
        made.profiles.append(told)
        await monitor.send([made])


async def standing(monitor: RunningMonitor) -> VersionDrift:
    """How the version stands."""
    async with AsyncClient(monitor=monitor.address) as client:
        (version,) = (await client.drift("digits")).versions
    return version


async def test_a_registered_reference_is_fetched_and_compared_with(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A monitor that hears of a reference asks for it; another one later takes its place."""
    clock = FakeClock()
    async with (
        running_registry(redis_url, namespace, tmp_path / "registry") as registry,
        running_monitor(tmp_path, clock, registry_address=registry.address) as monitor,
    ):
        await push(registry, onnx_file())
        await set_one(registry)
        replica = Replica(clock, (await get(registry)).reference)
        await _until_compared_with(monitor, replica, "rows.csv")
        for _ in range(6):
            await replica.report(monitor, shift=2.0)
        shifted = await standing(monitor)
        await set_one(registry, reference=reference(seed=7, origin="newer.csv"))
        other = Replica(clock, (await get(registry)).reference)
        other.sequence = replica.sequence
        await _until_compared_with(monitor, other, "newer.csv")
    assert ["input x[0]"] == sorted({each.field for each in shifted.fields if each.findings})
    assert 500 == shifted.fields[0].reference_rows


async def _until_compared_with(monitor: RunningMonitor, replica: Replica, origin: str) -> None:
    async with asyncio.timeout(20):
        while True:
            await replica.report(monitor)
            version = await standing(monitor)
            if (version.source, version.origin) == ("registered", origin):
                return
            await asyncio.sleep(0.05)
