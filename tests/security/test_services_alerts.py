"""Alerts of a monitor with authentication on: who is told of which, and who may do something about them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from headrace.monitor.v1 import alert_service_pb2 as pb
from headrace.monitor.v1 import alert_service_pb2_grpc
from tests.rpc.monitors import FakeClock, report, telemetry
from tests.security.registries import bearer, reason_of
from tests.security.watched_monitors import watched

DENIED, NOT_FOUND = "PERMISSION_DENIED", "ALERT_NOT_FOUND"


async def test_each_sees_and_does_what_he_may(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Alerts of models that he may read; who may move a route looks after them, rules take admin."""
    clock = FakeClock(time.time_ns())
    settings: dict[str, Any] = {"clock": clock, "alert_seconds": 0.05}
    async with watched(redis_url, namespace, tmp_path, **settings) as scene:
        keys = {
            name: await scene.known(await scene.registry.key(name, (role, models)))
            for name, role, models in (
                ("viewer", "viewer", "team-*"),
                ("owner", "owner", "team-*"),
                ("reader", "viewer", "*"),
                ("chief", "admin", "*"),
            )
        }
        stub: Any = alert_service_pb2_grpc.AlertServiceStub(scene.monitor.channel)
        failing = [
            telemetry([1_000_000] * 30, model=model, failed=300) for model in ("team-a", "other")
        ]
        for each in failing:
            each.error_counts["RUN_FAILED"] = each.error_counts.pop("QUEUE_FULL")
        sent = report("replica-0", 2, *failing, end_ns=clock.now_ns())
        assert "" == await scene.send(scene.service, sent)

        async def seen(name: str) -> dict[str, str]:
            answer = await stub.ListAlerts(pb.ListAlertsRequest(), metadata=bearer(keys[name]))
            return {each.model: each.id for each in answer.alerts if each.model}

        while len(await seen("reader")) < 2:
            pass
        assert ["team-a"] == [*await seen("viewer")] == [*await seen("owner")]
        of_both = await seen("chief")

        async def acknowledged(name: str, model: str) -> str:
            request = pb.AcknowledgeAlertRequest(id=of_both[model])
            return await reason_of(stub.AcknowledgeAlert(request, metadata=bearer(keys[name])))

        assert [DENIED, "", NOT_FOUND, DENIED, ""] == [
            await acknowledged("viewer", "team-a"),
            await acknowledged("owner", "team-a"),
            await acknowledged("owner", "other"),
            await acknowledged("reader", "other"),
            await acknowledged("chief", "other"),
        ]
        found = await stub.ListAlerts(pb.ListAlertsRequest(), metadata=bearer(keys["viewer"]))
        assert ["owner"] == [each.acknowledged_by for each in found.alerts if each.model]
        rules = await stub.ListRules(pb.ListRulesRequest(), metadata=bearer(keys["reader"]))
        assert (True, []) == (len(rules.rules) > 5, list(rules.receivers))
        told = await stub.ListRules(pb.ListRulesRequest(), metadata=bearer(keys["chief"]))
        assert ["log"] == [each.name for each in told.receivers]
        for name, expected in (("reader", DENIED), ("owner", DENIED), ("chief", "")):
            request = pb.ApplyRulesRequest(rules="", dry_run=True)
            call = stub.ApplyRules(request, metadata=bearer(keys[name]))
            assert expected == await reason_of(call)
