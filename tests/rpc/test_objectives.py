"""Service objectives: budgets that burn over two windows, and what is left after hours and restarts."""

from __future__ import annotations

from pathlib import Path

from headrace.monitor.v1 import alert_service_pb2 as pb
from tests.rpc.alerting import RULES, STEP, Scene, alerting, receiving
from tests.rpc.monitors import SECOND, FakeClock, report, telemetry

HOUR = 3600 * SECOND
OBJECTIVE = """
[[rules]]
name = "answers"
kind = "objective"
target = 0.99

[[rules]]
name = "fast"
kind = "objective"
target = 0.9
latency = "100ms"
by = "version"
burn = [{ long = "20m", short = "5m", rate = 5.0, severity = "page" }]

[shipped]
off = ["*"]
"""


async def hours(scene: Scene, count: int, good: int, failed: int = 0) -> None:
    """Some hours pass, in each minute of which there are requests."""
    for _ in range(count * 60):
        scene.clock.pass_by(60 * SECOND)
        scene.sequence["a"] = number = scene.sequence.get("a", 0) + 1
        counted = telemetry([1_000_000] * good)
        if failed:
            counted.error_counts["RUN_FAILED"] = failed
        await scene.monitor.send([report("a", number, counted, end_ns=scene.clock.now_ns())])


async def standing(scene: Scene, rule: str) -> pb.ObjectiveStatus:
    """How an objective stands."""
    found = await scene.alerts.ListObjectives(pb.ListObjectivesRequest(model="digits"))
    (status,) = (each for each in found.objectives if each.rule == rule)
    assert isinstance(status, pb.ObjectiveStatus)
    return status


async def test_a_budget_that_burns_fast_pages(tmp_path: Path) -> None:
    """Over an hour and five minutes; what callers do wrong is no part of it."""
    async with receiving() as hook, alerting(tmp_path) as scene:
        await scene.apply(RULES.format(url=hook.url) + OBJECTIVE)
        for _ in range(15):
            await scene.serve(STEP, good=100, failed=100, reason="SHAPE_MISMATCH")
        await scene.evaluated()
        assert [] == await scene.states()
        assert 1.0 == (await standing(scene, "answers")).budget_left
        for _ in range(5):
            await scene.serve(STEP, good=50, failed=100)
        await scene.evaluated()
        alerts = (await scene.alerts.ListAlerts(pb.ListAlertsRequest())).alerts
        assert [("answers", pb.SEVERITY_PAGE), ("answers", pb.SEVERITY_TICKET)] == [
            (each.rule, each.severity) for each in alerts
        ]
        page = alerts[0]
        assert (14.4, "burn", {"RUN_FAILED": 500}) == (
            page.threshold,
            page.unit,
            dict(page.reasons),
        )
        assert (2250, 500) == (page.objective.requests, page.objective.bad)
        assert abs(page.value - 500 / 2250 / 0.01) < 1e-9
        rates = {each.window.seconds: each.rate for each in page.objective.burn_rates}
        assert {300, 3600} == rates.keys()
        told = await hook.told()
        assert {("answers", "firing")} == set(told)


async def test_what_is_late_counts_against_a_latency(tmp_path: Path) -> None:
    """By version; it is told within the histogram's width."""
    async with alerting(tmp_path) as scene:
        await scene.apply(OBJECTIVE)
        for _ in range(10):
            await scene.serve(STEP, good=100, milliseconds=200)
        await scene.evaluated()
        found = await scene.only()
        assert ("fast", "digits", 1, pb.ALERT_STATE_FIRING) == (
            found.rule,
            found.model,
            found.version,
            found.state,
        )
        assert {"too late": 1000} == dict(found.reasons)
        assert "were not answered within 100ms" in found.summary


async def test_budgets_are_kept_by_the_hour(tmp_path: Path) -> None:
    """For longer than windows are, and over a restart; a clock that is set changes none of it."""
    clock = FakeClock()
    async with alerting(tmp_path, clock, kept_hours=2) as scene:
        await scene.apply(OBJECTIVE)
        for failed in (1, 0, 0, 0):
            await hours(scene, 1, good=99, failed=failed)
            await scene.evaluated()
        before = await standing(scene, "answers")
        sequence = scene.sequence
    async with alerting(tmp_path, clock, kept_hours=2) as scene:
        scene.sequence = sequence
        after = await standing(scene, "answers")
    assert 60 == before.bad
    assert before.requests in range(60 * 99 * 3, 60 * 100 * 4)
    assert (before.requests, before.bad) == (after.requests, after.bad)
    allowed = before.requests * 0.01
    assert abs(before.budget_left - (1 - 60 / allowed)) < 1e-9
    assert before.covered.seconds >= 3 * 3600
