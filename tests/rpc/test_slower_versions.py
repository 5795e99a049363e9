"""A version that takes longer than it did is told, with since when and by how much, and resolves."""

from __future__ import annotations

from pathlib import Path

from headrace.monitor.v1 import alert_service_pb2 as pb
from tests.rpc.alerting import RULES, Scene, alerting, receiving
from tests.rpc.monitors import MILLISECOND, SECOND, FakeClock, telemetry

RULE = "version-slower"

ALONE = """
[shipped]
off = ["telemetry-missing", "replica-lost"]
"""


async def minutes(scene: Scene, number: int, milliseconds: float) -> None:
    """So many minutes, in each of which a replica reports 40 runs; they differ by a hundredth."""
    for minute in range(number):
        scene.clock.pass_by(60 * SECOND)
        took = 2 * milliseconds * MILLISECOND * (1.01 if minute % 2 else 0.99)
        await scene.report(telemetry([int(took)] * 40))  # half of it is computed


async def test_a_version_that_takes_longer_is_told_and_over(tmp_path: Path) -> None:
    """30 % longer: since the minute in which it began, at its load; silent before, and after.

    What the monitor learnt before a restart it learns from its own minutes again.
    """
    clock = FakeClock()
    async with alerting(tmp_path, clock) as scene:
        await minutes(scene, 150, 2.0)
        told = scene.sequence
    async with receiving() as hook, alerting(tmp_path, clock) as scene:
        scene.sequence = told
        await scene.apply(RULES.format(url=hook.url) + ALONE)
        for _ in range(15):  # all minutes of the day before are gone through
            await scene.evaluated()
        assert [] == await scene.states(rule=RULE)
        await minutes(scene, 12, 2.6)
        await scene.evaluated()
        found = await scene.only(rule=RULE)
        assert (pb.ALERT_STATE_FIRING, "digits", 1) == (found.state, found.model, found.version)
        assert 0.25 < found.value < 0.35
        assert "1.3" in found.summary
        assert "since 2023-11-15 00:44 UTC: 2 ms → 2.59 ms" in found.summary
        assert "at 38 requests a minute and replica and 1.0 rows a run" in found.summary
        assert [(RULE, "firing")] == await hook.told()
        await minutes(scene, 20, 2.0)
        await scene.evaluated()
        scene.clock.pass_by(121 * SECOND)
        await scene.evaluated()
        assert [] == await scene.states(rule=RULE)
        assert [(RULE, "resolved")] == await hook.told()
