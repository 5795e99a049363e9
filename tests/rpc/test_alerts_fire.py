"""Every alert that is shipped fires when that happens which it is for, is told, and resolves."""

from __future__ import annotations

from pathlib import Path

from headrace.monitor.v1 import alert_service_pb2 as pb
from tests.rpc.alerting import RULES, alerting, receiving

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
