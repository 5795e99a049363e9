"""From a finding of drift to the requests that show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headrace.client import AsyncClient
from headrace.conversion.data_profiles import layout_from_proto
from headrace.data_profiles.float_bits import float_bit_places
from headrace.monitor.v1 import telemetry_pb2
from headrace_inference.adapters.telemetry import TelemetryBuffer
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.rpc.grpc_fixtures import open_grpc_replica, request
from tests.rpc.monitors import NOW, FakeClock, RunningMonitor, report, running_monitor
from tests.rpc.test_monitor_drift import REGION, SETTINGS, STEP, Replica, ask
from tests.rpc.test_profiles import ROWS, pairs


async def _examples(
    tmp_path: Path, values: str, request_id: str = ""
) -> telemetry_pb2.TelemetryReport:
    reports = TelemetryBuffer("a", StatisticsRegistry(), 10)
    async with open_grpc_replica(
        tmp_path, pairs(), reports=reports, label_share=1.0, profile_values=values
    ) as replica:
        await replica.stub.ModelInfer(request("pairs", ROWS, request_id=request_id))
    reports.collect()
    (only,) = reports.after(0)
    return only


async def test_a_replica_shows_rows_of_requests_with_an_id(tmp_path: Path) -> None:
    """Each has its request, its row, its bins in the order of the profile's fields, and its values."""
    told = await _examples(tmp_path, "numbers", "r-1")
    layout = layout_from_proto(told.profiles[0].layout)
    assert ["input x[0]", "input x[1]", "output y[0]", "output y[1]"] == [
        each.name for each in layout.fields
    ]
    assert [("r-1", 0), ("r-1", 1), ("r-1", 2)] == sorted(
        (each.request_id, each.row) for each in told.examples
    )
    for each in told.examples:
        expected = np.tile(float_bit_places(ROWS[each.row]), 2)
        assert expected.tolist() == list(each.bins)
    second = next(each for each in told.examples if each.row == 1)
    assert ["3", "nan", "3", "nan"] == list(second.values)


async def test_no_values_and_no_requests_without_an_id_are_shown(tmp_path: Path) -> None:
    """With `off` bins alone leave the replica, and of requests without an id nothing."""
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    told = await _examples(tmp_path / "one", "off", "r-1")
    assert [[], [], []] == [list(each.values) for each in told.examples]
    assert [] == list((await _examples(tmp_path / "other", "all")).examples)


async def _shift(monitor: RunningMonitor, clock: FakeClock, replica: Replica) -> None:
    """Tell rows whose income is larger, with four requests that are a sample of them."""
    for step in range(4):
        clock.pass_by(STEP)
        replica.sequence += 1
        now = NOW + replica.sequence * STEP
        made = report("a", replica.sequence, end_ns=now)
        made.profiles.append(replica.profile("", {"income": 2.0}))
        for income in (5.0, 8.0):
            made.examples.append(_example(f"{income:.0f}-{step}", income, now))
        await monitor.send([made])


def _example(request_id: str, income: float, now: int) -> telemetry_pb2.RowExample:
    bins = float_bit_places(np.array([5.0, income])).tolist()
    made = telemetry_pb2.RowExample(
        model="houses",
        version=1,
        request_id=request_id,
        slices=[REGION],
        bins=bins,
        values=["5", f"{income:g}"],
    )
    made.time.FromNanoseconds(now)
    return made


async def test_a_finding_has_the_requests_that_show_it(tmp_path: Path) -> None:
    """They are in the answer about the field, and in the alert; those with usual values are in neither."""
    clock = FakeClock()
    replica = Replica(clock)
    async with running_monitor(tmp_path, clock, alert_seconds=0.05, **SETTINGS) as monitor:
        await replica.report(monitor, 10)
        await _shift(monitor, clock, replica)
        (version,) = (await ask(monitor, field="input income", distributions=True)).versions
        async with AsyncClient(monitor=monitor.address) as client:
            async for alerts in client.watch_alerts():
                ids = {one for each in alerts for one in each.request_ids}
                if len(ids) == len(version.fields[0].examples):
                    break
    (field,) = version.fields
    assert ["8-3", "8-2", "8-1", "8-0"] == [each.request_id for each in field.examples]
    assert {("8", (REGION,), 0)} == {(each.value, each.slices, each.row) for each in field.examples}
    assert {"8-0", "8-1", "8-2", "8-3"} == ids
