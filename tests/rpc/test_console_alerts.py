"""What the console is told of alerts, and has done about them; and what it is told of drift."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headrace.monitor.v1 import telemetry_pb2
from tests.rpc.alerting import Scene, alerting
from tests.rpc.monitors import NOW, SECOND, report, timestamp

API = "/api/v1"


async def get(scene: Scene, path: str) -> Any:
    """The JSON of an answer."""
    status, text = await scene.monitor.get(f"{API}{path}")
    assert 200 == status, text
    return json.loads(text)


async def post(scene: Scene, path: str, **document: object) -> tuple[int, Any]:
    """The status and the JSON of a change."""
    async with scene.monitor.http.post(f"{API}{path}", json=document) as response:
        return response.status, await response.json()


async def test_alerts_are_told_acknowledged_and_silenced(tmp_path: Path) -> None:
    """As over gRPC: with seconds for times, words for states, and what the caller may do."""
    async with alerting(tmp_path) as scene:
        await scene.serve(8, failed=300)
        await scene.evaluated()
        (alert,) = (await get(scene, "/alerts"))["alerts"]
        assert [] == (await get(scene, "/alerts?state=firing"))["alerts"]
        overview = await get(scene, "/overview")
        told = await post(scene, f"/alerts/{alert['id']}/acknowledge", comment="on it")
        end = scene.clock.now_ns() / 1e9 + 3600
        made, silence = await post(scene, "/silences", model="dig*", comment="moving", end_time=end)
        (listed,) = (await get(scene, "/silences"))["silences"]
        ended = await post(scene, f"/silences/{listed['id']}/end")
        left = await get(scene, "/silences")
    expected = ("version-failing", "pending", "page", "digits", 1, {"RUN_FAILED": 600})
    keys = ("rule", "state", "severity", "model", "version", "reasons")
    assert expected == tuple(alert[key] for key in keys)
    assert alert["start_time"] == scene.clock.now_ns() / 1e9
    assert "route" in alert["may"]
    assert {"firing": 0, "pending": 1} == overview["alerts"]
    assert (200, "on it") == (told[0], told[1]["alert"]["comment"])
    assert (200, "dig*", "moving") == (made, silence["silence"]["model"], listed["comment"])
    assert end == listed["end_time"]
    assert (200, []) == (ended[0], left["silences"])


async def test_what_is_wrong_with_a_question_or_a_change_is_said(tmp_path: Path) -> None:
    """A state that is none, an alert that is none, a silence without an end."""
    async with alerting(tmp_path) as scene:
        status, text = await scene.monitor.get(f"{API}/alerts?state=odd")
        missing = await post(scene, "/alerts/none/acknowledge")
        endless = await post(scene, "/silences", model="digits", comment="x", end_time=-1)
    assert (400, "INVALID_QUERY") == (status, json.loads(text)["reason"])
    assert (404, "ALERT_NOT_FOUND") == (missing[0], missing[1]["reason"])
    assert (400, "CHANGE_INVALID") == (endless[0], endless[1]["reason"])


async def test_drift_of_a_model_without_rows_is_empty(tmp_path: Path) -> None:
    """The answer says what is allowed; a stretch that is none is refused."""
    async with alerting(tmp_path) as scene:
        found = await get(scene, "/models/digits/drift?slice=header%20x-region%3Deu")
        status, text = await scene.monitor.get(f"{API}/models/digits/drift?stretch=0")
    assert ([], 0.01) == (found["versions"], found["alpha"])
    assert (400, "INVALID_QUERY") == (status, json.loads(text)["reason"])


async def test_rules_objectives_and_profiles_are_told_and_a_baseline_is_reset(
    tmp_path: Path,
) -> None:
    """As their gRPC services answer; what they refuse is refused here."""
    async with alerting(tmp_path) as scene:
        rules = await get(scene, "/alerts/rules")
        objectives = await get(scene, "/objectives?model=digits")
        profiles = await get(scene, "/models/digits/profiles?version=1&window=600&step=60")
        status, text = await scene.monitor.get(f"{API}/models/digits/profiles")
        reset = await post(scene, "/models/digits/drift/reset", version=1)
        no_version = await post(scene, "/models/digits/drift/reset", slice="")
    assert {"version-failing"} <= {rule["name"] for rule in rules["rules"]}
    assert ([], []) == (objectives["objectives"], profiles["profiles"])
    assert (400, "INVALID_QUERY") == (status, json.loads(text)["reason"])
    assert (200, {"reset_count": 0}) == reset
    assert (400, "CHANGE_INVALID") == (no_version[0], no_version[1]["reason"])


def told(*requests: tuple[str, str, int]) -> telemetry_pb2.TelemetryReport:
    """A report of answers: of each request its id, its slice, and its row."""
    made: telemetry_pb2.TelemetryReport = report("a", 1)
    made.predictions.extend(
        telemetry_pb2.Prediction(
            model="digits",
            version=1,
            request_id=name,
            row=row,
            time=timestamp(NOW - 10 * SECOND),
            label="3",
            slices=[part],
        )
        for name, part, row in requests
    )
    made.prediction_share = 1.0
    return made


async def test_the_newest_requests_of_a_slice_are_told(tmp_path: Path) -> None:
    """By their ids, once each, and since a time alone."""
    async with alerting(tmp_path) as scene:
        rows = [("r1", "header x=eu", 0), ("r1", "header x=eu", 1), ("r2", "header x=us", 0)]
        await scene.monitor.send([told(*rows)])
        all_of_them = await get(scene, "/models/digits/requests?version=1")
        of_slice = await get(scene, "/models/digits/requests?slice=header%20x%3Deu")
        later = await get(scene, f"/models/digits/requests?since={NOW // SECOND}")
        other = await get(scene, "/models/digits/requests?version=2")
    assert ["r1", "r2"] == [each["id"] for each in all_of_them["requests"]]
    (found,) = of_slice["requests"]
    assert ("r1", "3", NOW / SECOND - 10) == (found["id"], found["answer"], found["at"])
    assert ([], []) == (later["requests"], other["requests"])
