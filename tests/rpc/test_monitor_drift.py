"""Drift over gRPC, by the client and by the command line, of a monitor that is restarted between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace import errors
from headrace.cli.drift import _views
from headrace.client import AsyncClient, Drift
from headrace.conversion.data_profiles import layout_to_proto, profile_to_proto
from headrace.data_profiles.binning import count
from headrace.data_profiles.layouts import Bins, FieldKind, FieldLayout, Layout, Place
from headrace.data_profiles.profiles import AspectKey, Profile
from headrace.monitor.v1 import telemetry_pb2
from tests.rpc.monitors import NOW, SECOND, FakeClock, RunningMonitor, report, running_monitor

STEP = 20 * SECOND
REGION = "header x-region=eu"
LAYOUT = Layout(
    tuple(
        FieldLayout(f"input {name}", Place.INPUT, FieldKind.NUMBER, name, aspects={"value": Bins()})
        for name in ("age", "income")
    )
)
ROWS = 1000
SETTINGS = {"drift_first_rows": 5000, "drift_learning_minutes": 0}


class Replica:
    """Reports profiles of rows, a thousand each 20 s, all values about 5."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.sequence = 0
        self.random = np.random.default_rng(1)

    async def report(
        self, monitor: RunningMonitor, steps: int, part: str = "", **shifts: float
    ) -> None:
        """Some steps' rows; the means of fields are moved by `shifts`."""
        for _ in range(steps):
            self.clock.pass_by(STEP)
            self.sequence += 1
            now = NOW + self.sequence * STEP
            made: telemetry_pb2.TelemetryReport = report("a", self.sequence, end_ns=now)
            made.profiles.append(self.profile(part, shifts))
            await monitor.send([made])

    def profile(self, part: str, shifts: dict[str, float]) -> telemetry_pb2.VersionProfile:
        counts = {
            AspectKey(each.name, "value"): count(
                Bins(), self.random.normal(5 + shifts.get(each.tensor, 0.0), 1, ROWS)
            )
            for each in LAYOUT.fields
        }
        return telemetry_pb2.VersionProfile(
            model="houses",
            version=1,
            slice=part,
            layout=layout_to_proto(LAYOUT),
            profile=profile_to_proto(Profile("", ROWS, ROWS, counts)),
        )


async def ask(monitor: RunningMonitor, **asked: Any) -> Drift:
    """How the model's fields stand."""
    async with AsyncClient(monitor=monitor.address) as client:
        return await client.drift("houses", **asked)


async def test_a_shift_is_found_named_and_kept_over_a_restart(tmp_path: Path) -> None:
    """First rows are learnt, quiet rows are no finding, and a shift is one, also for who asks later."""
    clock = FakeClock()
    replica = Replica(clock)
    async with running_monitor(tmp_path, clock, **SETTINGS) as monitor:
        await replica.report(monitor, 2)
        (learning,) = (await ask(monitor)).versions
        await replica.report(monitor, 20)
        (quiet,) = (await ask(monitor)).versions
    async with running_monitor(tmp_path, clock, **SETTINGS) as monitor:
        await replica.report(monitor, 4, income=1.0)
        drift = await ask(monitor, field="input income", distributions=True)
        (shifted,) = drift.versions
        status, text = await monitor.get("/metrics")
    assert ("", 2 * ROWS, ()) == (learning.source, learning.learnt_rows, learning.fields)
    assert ("first_rows", 17 * ROWS) == (quiet.source, quiet.compared_rows)
    assert [(), ()] == [each.findings for each in quiet.fields]
    (field,) = shifted.fields
    found = next(each for each in field.findings if each.concern == "distribution")
    assert found.change.startswith("mean ")
    assert abs(found.since - (NOW + 22 * STEP) / SECOND) <= 120
    assert field.distributions is not None
    assert 5 * ROWS == sum(field.distributions.reference)
    *_, table, _ = _views(drift, "houses", 10)
    assert 10 < len(table.rows) <= 19
    assert 200 == status
    sample = 'headrace_drift_fields{concern="distribution",model="houses",slice="",version="1"} 1.0'
    assert sample in text


async def test_a_slice_is_told_apart_and_the_command_line_says_so(tmp_path: Path) -> None:
    """What moved in a slice is named with it; the table is for people."""
    clock = FakeClock()
    replica = Replica(clock)
    async with running_monitor(tmp_path, clock, **SETTINGS) as monitor:
        for part in ("", REGION):
            await replica.report(monitor, 7, part)
        await replica.report(monitor, 3, REGION, age=2.0)
        found = await ask(monitor, slice_name=REGION)
    (version,) = found.versions
    assert (REGION,) == version.slices
    lines = [str(each) for each in _views(found, "houses", 10)]
    assert f"input age moved in {REGION}" in lines
    assert lines[0].startswith(f"houses version 1, {REGION}: 5,000 rows compared with its own")


async def test_a_reset_begins_anew(tmp_path: Path) -> None:
    """The rows that come next are how all are to be."""
    clock = FakeClock()
    replica = Replica(clock)
    async with running_monitor(tmp_path, clock, **SETTINGS) as monitor:
        await replica.report(monitor, 7)
        await replica.report(monitor, 3, age=2.0)
        assert (await ask(monitor)).versions[0].fields[0].findings
        async with AsyncClient(monitor=monitor.address) as client:
            assert 1 == await client.reset_baseline("houses", 1)
            assert 0 == await client.reset_baseline("flats", 1)
        await replica.report(monitor, 9, age=2.0)
        (version,) = (await ask(monitor)).versions
    assert [(), ()] == [each.findings for each in version.fields]


async def test_questions_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    """A stretch that is not kept is named with those that are."""
    async with running_monitor(tmp_path) as monitor:
        with pytest.raises(errors.InvalidArgument, match="5 minutes, 1 hour or 1 day") as raised:
            await ask(monitor, stretch_seconds=7.0)
        assert () == (await ask(monitor)).versions
    assert "INVALID_QUERY" == raised.value.reason


async def test_numbers_that_lie_close_together_are_named(tmp_path: Path) -> None:
    """Bins without learning tell little of them, and the command line says what to do."""
    clock = FakeClock()
    replica = Replica(clock)
    async with running_monitor(tmp_path, clock, **SETTINGS) as monitor:
        await replica.report(monitor, 6, age=1000.0)
        found = await ask(monitor)
    lines = [str(each) for each in _views(found, "houses", 10)]
    assert ["Of input age small changes are not seen"] == [
        each.partition(":")[0] for each in lines if each.startswith("Of ")
    ]
