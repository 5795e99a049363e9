"""Every alert that is shipped fires when that happens which it is for, is told, and resolves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from headrace.conversion.data_profiles import layout_to_proto, profile_to_proto
from headrace.data_profiles.binning import count
from headrace.data_profiles.layouts import Bins, FieldKind, FieldLayout, Layout, Place
from headrace.data_profiles.profiles import AspectKey, Profile
from headrace.monitor.v1 import alert_service_pb2 as pb
from headrace.monitor.v1 import telemetry_pb2
from headrace.registry.v1 import registry_service_pb2
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace.state.records import LoadState, ReplicaRecord
from headrace_inference.adapters.presence import PresenceWriter
from tests.rpc.alerting import RULES, Receiver, Scene, alerting, receiving
from tests.rpc.held_models import Models
from tests.rpc.monitors import MILLISECOND, SECOND, histogram_of, report, telemetry
from tests.rpc.registry_fixtures import onnx_file, push, running_registry

PENDING, FIRING = pb.ALERT_STATE_PENDING, pb.ALERT_STATE_FIRING


async def test_a_version_that_fails_is_told_and_over(tmp_path: Path) -> None:
    """Errors of its own are pending for a minute, then fire; once they are gone, it is resolved."""
    async with receiving() as hook, alerting(tmp_path) as scene:
        await scene.apply(RULES.format(url=hook.url))
        await scene.serve(20)
        await scene.evaluated()
        assert [] == await scene.states()
        await scene.serve(8, failed=300)
        await scene.evaluated()
        assert [("version-failing", PENDING)] == await scene.states()
        await scene.serve(60)
        await scene.evaluated()
        found = await scene.only()
        expected = ("version-failing", FIRING, "digits", 1)
        assert expected == (found.rule, found.state, found.model, found.version)
        assert {"RUN_FAILED": 600} == dict(found.reasons)
        assert pb.SEVERITY_PAGE == found.severity
        assert f"/#/models/digits?alert={found.id}&version=1" == found.link
        assert [("version-failing", "firing")] == await hook.told()
        await scene.serve(244)  # the failures are older than the window now
        await scene.evaluated()
        await scene.serve(116)
        await scene.evaluated()
        assert FIRING == (await scene.only()).state  # not before it was gone for two minutes
        await scene.serve(8)
        await scene.evaluated()
        assert [] == await scene.states()
        assert [("version-failing", "resolved")] == await hook.told()
        over = await scene.only(state=pb.ALERT_STATE_RESOLVED)
        assert (found.id, scene.clock.now_ns()) == (over.id, over.resolve_time.ToNanoseconds())
        assert hook.requests.empty()


async def told_and_over(scene: Scene, hook: Receiver, rule: str, over: Any) -> pb.Alert:
    """Wait until the only alert is told as firing; then until `over()` has it told as resolved."""
    await scene.evaluated()
    found = await scene.only(rule=rule)
    assert (rule, FIRING) == (found.rule, found.state)
    assert [(rule, "firing")] == await hook.told()
    await over()
    await scene.evaluated()
    scene.clock.pass_by(120 * SECOND)
    await scene.evaluated()
    assert [] == await scene.states(rule=rule)
    assert [(rule, "resolved")] == await hook.told()
    return found


async def test_a_version_that_refuses_for_want_of_room(tmp_path: Path) -> None:
    """It is overloaded, and that is another thing than failing."""
    async with receiving() as hook, alerting(tmp_path) as scene:
        await scene.apply(RULES.format(url=hook.url))
        await scene.serve(8, failed=300, reason="QUEUE_FULL")
        await scene.evaluated()
        assert [("version-overloaded", PENDING)] == await scene.states()
        await scene.serve(120, failed=10, reason="QUEUE_FULL")

        async def over() -> None:
            await scene.serve(308)
            await scene.evaluated()
            await scene.serve(60)
            await scene.evaluated()
            await scene.serve(60)

        await scene.evaluated()
        assert {"QUEUE_FULL": 900} == dict((await scene.only()).reasons)
        assert [("version-overloaded", "firing")] == await hook.told()
        await over()
        await scene.evaluated()
        assert [] == await scene.states()
        assert [("version-overloaded", "resolved")] == await hook.told()


def _of_slice(name: str, good: int, failed: int) -> list[telemetry_pb2.PartMeasure]:
    times = histogram_of([MILLISECOND] * good)
    measures = [telemetry_pb2.Measure(name="total", histogram=times)]
    if failed:
        counts = telemetry_pb2.CountsByLabel(counts={"RUN_FAILED": failed})
        measures.append(telemetry_pb2.Measure(name="error_counts", labels=counts))
    return [telemetry_pb2.PartMeasure(label="slice", value=name, measure=each) for each in measures]


async def test_errors_in_one_slice_are_told_with_its_name(tmp_path: Path) -> None:
    """One in a hundred requests fails, and all of them are of one slice."""

    async def serve(seconds: int, failed: int) -> None:
        for _ in range(seconds // 4):
            scene.clock.pass_by(4 * SECOND)
            counted = telemetry([MILLISECOND] * (1200 - failed))
            if failed:
                counted.error_counts["RUN_FAILED"] = failed
            counted.parts.extend(_of_slice("header x-region=eu", 100 - failed, failed))
            counted.parts.extend(_of_slice("header x-region=us", 1100, 0))
            await scene.report(counted)

    async with receiving() as hook, alerting(tmp_path) as scene:
        await scene.apply(RULES.format(url=hook.url))
        await serve(8, 0)
        await scene.evaluated()
        assert [] == await scene.states()
        await serve(60, 11)
        await scene.evaluated()
        await serve(120, 11)
        await scene.evaluated()
        assert [("slice-failing", "firing")] == await hook.told()
        alert = await scene.only()
        assert ["header x-region=eu"] == list(alert.slices)
        assert {"RUN_FAILED": 11 * 45} == dict(alert.reasons)
        await serve(320, 0)
        await scene.evaluated()
        await serve(124, 0)
        assert [("slice-failing", "resolved")] == await hook.told()


async def test_a_watch_tells_every_change_and_ends_with_the_monitor(tmp_path: Path) -> None:
    """First what there is, then what came of it."""
    async with alerting(tmp_path) as scene:
        watch = scene.alerts.WatchAlerts(pb.WatchAlertsRequest(model="digits"))
        assert [] == list((await watch.read()).alerts)
        await scene.serve(8, failed=300)
        (begun,) = (await watch.read()).alerts
        assert ("version-failing", PENDING) == (begun.rule, begun.state)
        request = pb.AcknowledgeAlertRequest(id=begun.id, comment="mine")
        await scene.alerts.AcknowledgeAlert(request)
        while not (later := (await watch.read()).alerts[0]).acknowledged_by:
            pass
        assert "mine" == later.comment
        scene.monitor.stopping.set()
        async with asyncio.timeout(20):
            while await watch.read() is not grpc.aio.EOF:
                pass


async def test_what_callers_do_wrong_is_no_alert(tmp_path: Path) -> None:
    """However often they do."""
    async with alerting(tmp_path) as scene:
        for _ in range(2):
            await scene.serve(60, failed=100, reason="SHAPE_MISMATCH")
            await scene.evaluated()
            assert [] == await scene.states()


async def test_a_replica_that_is_killed_is_told(tmp_path: Path) -> None:
    """As soon as it starts again; and it is over some time later."""
    async with receiving() as hook, alerting(tmp_path) as scene:
        await scene.apply(RULES.format(url=hook.url))
        await scene.serve(8)
        scene.clock.pass_by(4 * SECOND)
        await scene.report(replica="a", boot_id="another", last=True)

        async def over() -> None:
            scene.clock.pass_by(16 * 60 * SECOND)

        found = await told_and_over(scene, hook, "replica-lost", over)
        assert ("a", "", "/#/replicas") == (
            found.replica,
            found.model,
            found.link.partition("?")[0],
        )
        assert found.summary.startswith("replica a ended without a last report")


async def test_reports_that_are_missing_are_told(tmp_path: Path) -> None:
    """After a minute, with how many; a silent replica is, too."""
    async with receiving() as hook, alerting(tmp_path) as scene:
        await scene.apply(RULES.format(url=hook.url))
        await scene.serve(8)
        scene.sequence["a"] += 3
        await scene.serve(4)
        await scene.evaluated()
        assert [("telemetry-missing", PENDING)] == await scene.states()
        await scene.serve(60)

        async def over() -> None:
            scene.clock.pass_by(16 * 60 * SECOND)
            await scene.report(replica="a", last=True)

        found = await told_and_over(scene, hook, "telemetry-missing", over)
        assert (3.0, "reports") == (found.value, found.unit)


async def test_reports_that_were_missing_before_a_clock_was_set_back_are_old(
    tmp_path: Path,
) -> None:
    """Else they would be told of until the clock has come so far again."""
    async with alerting(tmp_path) as scene:
        await scene.serve(8)
        scene.sequence["a"] += 3
        await scene.serve(4)
        await scene.evaluated()
        assert [("telemetry-missing", PENDING)] == await scene.states()
        scene.clock.step(-86_400 * SECOND)
        await scene.evaluated()
        assert [] == await scene.states()


async def test_a_replica_that_falls_silent_is_told(tmp_path: Path) -> None:
    """Its figures are said to be incomplete; when it reports again, that is over."""
    async with receiving() as hook, alerting(tmp_path) as scene:
        await scene.apply(RULES.format(url=hook.url))
        await scene.serve(8)
        scene.clock.pass_by(10 * SECOND)
        await scene.evaluated()
        assert [("telemetry-missing", PENDING)] == await scene.states()
        scene.clock.pass_by(60 * SECOND)

        async def over() -> None:
            await scene.report(replica="a", last=True)

        found = await told_and_over(scene, hook, "telemetry-missing", over)
        assert "replica a has not reported since" in found.summary
        assert ["counts of a are not complete"] == list(found.incomplete)


async def test_failures_do_not_resolve_while_nobody_can_see(tmp_path: Path) -> None:
    """A replica that fails requests and falls silent leaves an alert that says so."""
    async with alerting(tmp_path) as scene:
        await scene.serve(8, failed=300)
        await scene.evaluated()
        await scene.serve(60, failed=300)
        await scene.evaluated()
        assert [("version-failing", FIRING)] == await scene.states()
        for _ in range(4):
            scene.clock.pass_by(140 * SECOND)
            await scene.evaluated()
        found = await scene.only(rule="version-failing")
        assert (FIRING, "RUN_FAILED") == (found.state, next(iter(found.reasons)))


async def test_a_clock_that_steps_tells_nobody_anything(tmp_path: Path) -> None:
    """A day ahead and back: what fires goes on, and is not told again."""
    rules = RULES + "[shipped]\noff = ['telemetry-missing']\n"
    async with receiving() as hook, alerting(tmp_path) as scene:
        await scene.apply(rules.format(url=hook.url))
        for _ in range(2):
            await scene.serve(60, failed=300)
            await scene.evaluated()
        assert [("version-failing", "firing")] == await hook.told()
        began = (await scene.only()).start_time
        for step in (86_400, -86_400, -3600, 3600):
            scene.clock.step(step * SECOND)
            await scene.evaluated()
            await scene.serve(40, failed=300)
            await scene.evaluated()
            found = await scene.only()
            assert (FIRING, began) == (found.state, found.start_time)
        assert hook.requests.empty()


async def test_a_version_that_cannot_be_loaded_is_told(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """It is in the route, and unavailable on a replica; once it is ready, that is over."""
    models, record = Models("digits"), ReplicaRecord("r1", "h:1", "h:2", "h:3", 7, 0.0, 3)
    async with (
        receiving() as hook,
        running_registry(redis_url, namespace, tmp_path / "registry") as registry,
        open_redis(redis_url) as redis,
        alerting(tmp_path / "monitor", registry_address=registry.address) as scene,
    ):
        await scene.apply(RULES.format(url=hook.url))
        await push(registry, onnx_file())
        route = {"name": "models/digits/route", "stable_version": 1}
        await registry.stub.UpdateRoute(
            registry_service_pb2.UpdateRouteRequest(route=route, allow_unready=True)
        )
        writer = PresenceWriter(redis, Keys(namespace), models, lambda: record)
        models.move("digits", LoadState.UNAVAILABLE)

        async def until(states: list[tuple[str, int]]) -> None:
            async with asyncio.timeout(20):
                while await scene.states() != states:
                    await writer.announce()
                    await scene.evaluated()

        await until([("version-not-ready", PENDING)])
        scene.clock.pass_by(120 * SECOND)
        await until([("version-not-ready", FIRING)])
        found = await scene.only()
        assert ("digits", 1, 1.0, "replicas") == (
            found.model,
            found.version,
            found.value,
            found.unit,
        )
        assert "version 1 is UNAVAILABLE on r1" in found.summary
        assert [("version-not-ready", "firing")] == await hook.told()
        models.move("digits", LoadState.READY)
        await writer.announce()
        for _ in range(100):  # until the catalog has heard of it
            scene.clock.pass_by(60 * SECOND)
            await scene.evaluated()
            if [] == await scene.states():
                break
        assert [("version-not-ready", "resolved")] == await hook.told()


LAYOUT = Layout(
    tuple(
        FieldLayout(f"input {name}", Place.INPUT, FieldKind.NUMBER, name, aspects={"value": Bins()})
        for name in ("age", "income")
    )
)
LEARNING: dict[str, Any] = {"drift_first_rows": 5000, "drift_learning_minutes": 0}


class Data:
    """Has a replica report profiles of a thousand rows each 20 s, all values about 5."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._random = np.random.default_rng(1)

    async def serve(
        self, steps: int, part: str = "", missing: float = 0.0, **shifts: float
    ) -> None:
        """Some steps' rows: means of fields are moved by `shifts`, `missing` of all ages are."""
        scene = self._scene
        for _ in range(steps):
            scene.clock.pass_by(20 * SECOND)
            scene.sequence["a"] = number = scene.sequence.get("a", 0) + 1
            made: telemetry_pb2.TelemetryReport = report("a", number, end_ns=scene.clock.now_ns())
            made.profiles.append(self._profile(part, missing, shifts))
            await scene.monitor.send([made])

    def _profile(
        self, part: str, missing: float, shifts: dict[str, float]
    ) -> telemetry_pb2.VersionProfile:
        counts = {}
        for each in LAYOUT.fields:
            values = self._random.normal(5 + shifts.get(each.tensor, 0.0), 1, 1000)
            if each.tensor == "age":
                values[: int(missing * 1000)] = np.nan
            counts[AspectKey(each.name, "value")] = count(Bins(), values)
        return telemetry_pb2.VersionProfile(
            model="houses",
            version=1,
            slice=part,
            layout=layout_to_proto(LAYOUT),
            profile=profile_to_proto(Profile("", 1000, 1000, counts)),
        )


async def test_data_that_drift_are_told_with_the_field_and_the_slice(tmp_path: Path) -> None:
    """Since when, how far, in which field, in which slice; once they are as before, it is over."""
    async with receiving() as hook, alerting(tmp_path, **LEARNING) as scene:
        await scene.apply(RULES.format(url=hook.url) + "[shipped]\noff = ['telemetry-missing']\n")
        data, region = Data(scene), "header x-region=eu"
        await data.serve(12, region)
        await scene.evaluated()
        assert [] == await scene.states()
        await data.serve(4, region, income=1.0)

        async def over() -> None:
            for _ in range(40):
                await data.serve(6, region)
                await scene.evaluated()
                if (await scene.alerts.ListAlerts(pb.ListAlertsRequest())).alerts[:1] == []:
                    return

        await scene.evaluated()
        found = await scene.only(rule="data-drift")
        assert ("houses", 1, [region]) == (found.model, found.version, list(found.slices))
        assert ["input income"] == [field.field for field in found.fields]
        assert "mean " in found.fields[0].finding
        assert found.value > 0.25
        assert "field=input+income" in found.link
        assert [("data-drift", "firing")] == await hook.told()
        await over()
        assert [("data-drift", "resolved")] == await hook.told()


async def test_a_field_that_goes_missing_is_told(tmp_path: Path) -> None:
    """After five minutes, by its name."""
    off = "[shipped]\noff = ['telemetry-missing', 'data-drift']\n"
    async with receiving() as hook, alerting(tmp_path, **LEARNING) as scene:
        await scene.apply(RULES.format(url=hook.url) + off)
        data = Data(scene)
        await data.serve(12)
        await data.serve(6, missing=0.3)
        await scene.evaluated()
        assert [("data-quality", PENDING)] == await scene.states()
        await data.serve(15, missing=0.3)
        await scene.evaluated()
        found = await scene.only()
        assert (FIRING, ["input age"]) == (found.state, [field.field for field in found.fields])
        assert 0.2 < found.value < 0.4
        assert [("data-quality", "firing")] == await hook.told()
        for _ in range(40):
            await data.serve(6)
            await scene.evaluated()
            if [] == await scene.states():
                break
        assert [("data-quality", "resolved")] == await hook.told()
