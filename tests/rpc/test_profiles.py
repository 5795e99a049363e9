"""Profiles of data, from requests on every front to the monitor's answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest
from onnx import helper

from headrace.client import AsyncClient
from headrace.conversion.data_profiles import (
    layout_from_proto,
    layout_to_proto,
    profile_from_proto,
    profile_to_proto,
)
from headrace.data_profiles.binning import count
from headrace.data_profiles.float_bits import float_bit_places
from headrace.data_profiles.layouts import (
    VALUE,
    BinKind,
    Bins,
    FieldKind,
    FieldLayout,
    Layout,
    Place,
)
from headrace.data_profiles.profiles import AspectKey, Profile
from headrace.datatypes import Datatype
from headrace.monitor.v1 import profile_service_pb2 as pb
from headrace.monitor.v1 import profile_service_pb2_grpc, telemetry_pb2
from headrace.state.records import TensorSpec
from headrace.tls.peers import PlainPeer
from headrace.type.v1 import profile_pb2
from headrace_inference.adapters.telemetry import MAX_BYTES, TelemetryBuffer
from headrace_inference.adapters.telemetry_sending import flush_telemetry
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.rpc.grpc_fixtures import FRONTS, open_grpc_replica, request
from tests.rpc.monitors import SECOND, FakeClock, RunningMonitor, report, running_monitor, seconds
from tests.rpc.rest_fixtures import Model, echo, model
from tests.unit.inference.text_doubles import EchoRunner, generative_version

EDGES = Bins(BinKind.EDGES, (1.0, 2.0))
ROWS = np.array([[1.0, 2.0], [3.0, np.nan], [-4.0, 0.0]], np.float32)


def pairs() -> Model:
    """A model `pairs` that answers y = x: rows of two numbers."""
    specs = [TensorSpec(name, Datatype.FP32, (-1, 2)) for name in ("x", "y")]
    node = helper.make_node("Identity", ["x"], ["y"])
    return model("pairs", [node], specs[:1], specs[1:], max_batch_size=8)


async def told(monitor: RunningMonitor, **fields: Any) -> pb.QueryProfilesResponse:
    """Ask for profiles of the model's version."""
    stub: Any = profile_service_pb2_grpc.ProfileServiceStub(monitor.channel)
    asked = pb.QueryProfilesRequest(**{"model": "pairs", "version": 1, **fields})
    found: pb.QueryProfilesResponse = await stub.QueryProfiles(asked)
    return found


def filled(response: pb.QueryProfilesResponse, field: str) -> Mapping[int, int]:
    """The bins of a field that are not empty."""
    (binned,) = response.profiles
    found = profile_from_proto(binned.total, layout_from_proto(binned.layout))
    counts = found.counts[AspectKey(field, VALUE)]
    return {int(at): int(counts[at]) for at in np.flatnonzero(counts)}


def bins_of(*values: float) -> Mapping[int, int]:
    """The bins of floats, with how many of them are in each."""
    places = float_bit_places(np.array(values, np.float32)).tolist()
    return {place: places.count(place) for place in sorted(places)}


@pytest.mark.parametrize("front", FRONTS)
async def test_what_callers_send_is_what_the_monitor_tells(tmp_path: Path, front: str) -> None:
    """Rows of gRPC and of REST, and of two replicas, are in one exact sum, by slice, too."""
    (tmp_path / "monitor").mkdir()
    async with running_monitor(tmp_path / "monitor") as monitor:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            reports = TelemetryBuffer(name, StatisticsRegistry(), 10)
            await _ask(tmp_path / name, reports, front)
            reports.collect()
            await flush_telemetry(reports, PlainPeer(monitor.channel), 10)
        found = await told(monitor)
        (binned,) = found.profiles
        assert (8, 8) == (binned.total.rows, binned.total.seen_rows)
        assert bins_of(1, 3, -4, 1, 1, 3, -4, 1) == filled(found, "input x[0]")
        assert bins_of(2, np.nan, 0, 5, 2, np.nan, 0, 5) == filled(found, "output y[1]")
        assert ["header x-region=eu", "parameter tier=gold"] == list(found.slices)
        of_slice = await told(monitor, slice="header x-region=eu", step=seconds(60))
        assert bins_of(1, 3, -4, 1, 3, -4) == filled(of_slice, "input x[0]")
        assert [6] == [step.profile.rows for step in of_slice.profiles[0].steps]
        assert bins_of(1, 1) == filled(
            await told(monitor, slice="parameter tier=gold"), "input x[0]"
        )


async def _ask(folder: Path, reports: TelemetryBuffer, front: str) -> None:
    """Send three rows by gRPC with a header, and one by REST with a parameter."""
    slices = ("header:X-Region", "parameter:tier")
    async with open_grpc_replica(
        folder, pairs(), reports=reports, front=front, slice_by=slices
    ) as replica:
        await replica.stub.ModelInfer(request("pairs", ROWS), metadata=[("x-region", "eu")])
        body = {
            "parameters": {"tier": "gold"},
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 5]}],
        }
        async with (
            aiohttp.ClientSession(f"http://{replica.http_address}") as http,
            http.post("/v2/models/pairs/infer", json=body) as response,
        ):
            assert 200 == response.status


async def test_the_client_tells_profiles_and_their_gaps(tmp_path: Path) -> None:
    """Counts of a field with its limits; a report that is missing is a gap of them, too."""
    layout = Layout(
        (FieldLayout("input x", Place.INPUT, FieldKind.NUMBER, "x", -1, {VALUE: EDGES}),)
    )
    counts = {AspectKey("input x", VALUE): count(EDGES, np.array([np.nan, 0.5, 1.5, 1.7, 9.0]))}
    sent = telemetry_pb2.VersionProfile(
        model="pairs",
        version=1,
        layout=layout_to_proto(layout),
        profile=profile_to_proto(Profile("", 5, 8, counts)),
    )
    clock = FakeClock()
    async with (
        running_monitor(tmp_path, clock) as monitor,
        AsyncClient(monitor=monitor.address) as client,
    ):
        await monitor.send([report("a", 1)])
        clock.pass_by(4 * SECOND)
        made = report("a", 4, end_ns=clock.now_ns(), dropped=2)
        made.profiles.append(sent)
        await monitor.send([made])
        found = await client.profiles("pairs", 1, step_seconds=60)
    (binned,) = found.profiles
    (field,) = binned.total.aspects
    assert (5, 8) == (binned.total.rows, binned.total.seen_rows)
    assert ("input x", 1, 0, (1, 2, 1)) == (
        field.field,
        field.missing,
        field.infinite,
        field.counts,
    )
    assert (-np.inf, 1.0, 2.0, np.inf) == field.limits
    assert [5] == [step.rows.rows for step in binned.steps]
    assert [("REPORTS_MISSING", "a", 2)] == [
        (gap.reason, gap.replica, gap.missing_reports) for gap in found.gaps
    ]


async def test_nothing_is_looked_at_where_that_is_off(tmp_path: Path) -> None:
    """With a budget of no rows a replica tells no profile."""
    reports = TelemetryBuffer("a", StatisticsRegistry(), 10)
    async with open_grpc_replica(tmp_path, pairs(), reports=reports, profile_rows=0.0) as replica:
        await replica.stub.ModelInfer(request("pairs", ROWS))
    reports.collect()
    assert [0] == [len(each.profiles) for each in reports.after(0)]


def large(name: str, aspects: int = 0) -> telemetry_pb2.VersionProfile:
    """A profile whose message is long."""
    made = telemetry_pb2.VersionProfile(model=name, version=1)
    made.layout.fields.add(name="f", kind=1, place=1)
    for number in range(aspects):
        made.profile.counts.add(field=f"{number}" * 100, aspect="value", bins=[1], counts=[1])
    return made


async def test_profiles_fill_reports_as_far_as_they_may() -> None:
    """A report has a bounded number of bytes of profiles; others come in the next, and none is lost."""
    reports = TelemetryBuffer("a", StatisticsRegistry(), 10)
    reports.add_profiles([large(f"m{number}", 1000) for number in range(7)])
    reports.collect()
    sent = reports.after(0)
    assert 7 == sum(len(each.profiles) for each in sent)
    assert len(sent) > 1
    assert all(each.ByteSize() < MAX_BYTES + 2**16 for each in sent)


async def test_a_large_report_is_read_piece_by_piece(tmp_path: Path) -> None:
    """Profiles of more bytes than all else may have are taken; one without known fields is left out."""
    async with running_monitor(tmp_path) as monitor:
        sent = report("a", 1)
        known = large("pairs")
        known.layout.fields[0].aspects["value"].labels.extend(f"{n}" * 10 for n in range(9000))
        known.layout.fields[0].aspects["value"].kind = profile_pb2.Bins.KIND_LABELS
        known.profile.rows = known.profile.seen_rows = 2
        known.profile.counts.add(field="f", aspect="value", bins=[0, 9002], counts=[1, 1])
        unknown = telemetry_pb2.VersionProfile(model="pairs", version=2, profile=known.profile)
        wrong = telemetry_pb2.VersionProfile(model="pairs", version=1, profile=known.profile)
        wrong.profile.counts[0].bins[1] = 9003
        sent.profiles.extend([known, unknown, wrong, known])
        assert sent.ByteSize() > 2**16
        assert [1] == await monitor.send([sent])
        assert {0: 2, 9002: 2} == filled(await told(monitor), "f")
        assert not (await told(monitor, version=2)).profiles


async def test_a_restart_loses_no_profile(tmp_path: Path) -> None:
    """What was acknowledged is answered after a restart, and fields need not be told again."""
    told_once = large("pairs")
    told_once.layout.fields[0].aspects["value"].kind = profile_pb2.Bins.KIND_FLOAT_BITS
    told_once.profile.rows = 1
    told_once.profile.counts.add(field="f", aspect="value", bins=[386], counts=[1])
    again = telemetry_pb2.VersionProfile(model="pairs", version=1, profile=told_once.profile)
    for sequence, profile in ((1, told_once), (2, again)):
        sent = report("a", sequence)
        sent.profiles.append(profile)
        async with running_monitor(tmp_path) as monitor:
            assert [sequence] == await monitor.send([sent])
    async with running_monitor(tmp_path) as monitor:
        assert {386: 2} == filled(await told(monitor), "f")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": ""}, "model is required"),
        ({"version": 0}, "version is required"),
        ({"window": seconds(0)}, "window must be longer than 0"),
        ({"window": seconds(86_401)}, "window must be longer than 0 and at most 86400 s"),
        ({"step": seconds(59)}, "step must be at least 60 s"),
        ({"window": seconds(36_000), "step": seconds(60)}, "step must cut the window into 500"),
    ],
)
async def test_a_wrong_question_is_refused(
    tmp_path: Path, fields: dict[str, Any], expected: str
) -> None:
    """Each field that is wrong is named, with what is allowed."""
    async with running_monitor(tmp_path) as monitor:
        with pytest.raises(grpc.aio.AioRpcError, match=expected) as refused:
            await told(monitor, **fields)
    assert grpc.StatusCode.INVALID_ARGUMENT is refused.value.code()


async def test_lengths_of_generations_are_told(tmp_path: Path) -> None:
    """Of a version that generates, the tokens of prompts and answers are counted, and no text."""
    (tmp_path / "replica").mkdir()
    reports = TelemetryBuffer("a", StatisticsRegistry(), 10)
    generating = replace(echo(Datatype.FP32), record=generative_version())
    async with (
        open_grpc_replica(
            tmp_path / "replica",
            generating,
            open_model=lambda path, record: EchoRunner(),
            reports=reports,
        ) as replica,
        AsyncClient(inference=replica.grpc_address, timeout_seconds=20) as client,
    ):
        await client.generate("m", "abc", max_tokens=4)
        await client.generate("m", "abcde", max_tokens=2)
    reports.collect()
    async with running_monitor(tmp_path) as monitor:
        await flush_telemetry(reports, PlainPeer(monitor.channel), 10)
        found = await told(monitor, model="m")
    assert bins_of(3, 5) == filled(found, "length prompt")
    assert bins_of(4, 2) == dict(sorted(filled(found, "length answer").items()))
    assert 2 == len(found.profiles[0].layout.fields)
