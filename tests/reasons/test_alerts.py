"""Refusals of the service of alerts: told as the page says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headrace.monitor.v1 import alert_service_pb2 as pb
from tests.reasons.exact import expected, told_by
from tests.rpc.alerting import alerting

FIXED = "ALERT_RULES_FIXED"
_RULES = pb.ApplyRulesRequest(rules="[shipped]\noff = ['data-drift']\n", etag="another")

REFUSALS: tuple[tuple[str, str, str, Any], ...] = (
    ("InvalidArgument", "ALERT_RULES_INVALID", "ApplyRules", pb.ApplyRulesRequest(rules="x = 1")),
    ("Aborted", "ETAG_MISMATCH", "ApplyRules", _RULES),
    ("NotFound", "ALERT_NOT_FOUND", "AcknowledgeAlert", pb.AcknowledgeAlertRequest(id="x")),
    ("InvalidArgument", "SILENCE_INVALID", "CreateSilence", pb.CreateSilenceRequest()),
    ("NotFound", "SILENCE_NOT_FOUND", "DeleteSilence", pb.DeleteSilenceRequest(id="x")),
    ("NotFound", "RECEIVER_NOT_FOUND", "TestReceiver", pb.TestReceiverRequest(receiver="x")),
    ("InvalidArgument", "INVALID_QUERY", "ListAlerts", pb.ListAlertsRequest(severity=9)),  # type: ignore[arg-type]  # unknown here
    ("InvalidArgument", "PAGE_SIZE_INVALID", "ListAlerts", pb.ListAlertsRequest(page_size=1001)),
    ("InvalidArgument", "PAGE_TOKEN_INVALID", "ListAlerts", pb.ListAlertsRequest(page_token="x")),
    ("FailedPrecondition", FIXED, "ApplyRules", pb.ApplyRulesRequest()),
    ("InvalidArgument", "COMMENT_TOO_LONG", "AcknowledgeAlert", pb.AcknowledgeAlertRequest()),
)


async def test_refusals(tmp_path: Path) -> None:
    """Of rules, alerts, silences and receivers."""
    async with alerting(tmp_path / "data") as scene:
        for kind, reason, method, request in REFUSALS:
            if reason in (FIXED, "COMMENT_TOO_LONG"):
                continue
            told = await told_by(getattr(scene.alerts, method)(request))
            assert expected(kind, reason) == told, reason


async def test_rules_of_a_file_are_not_replaced(tmp_path: Path) -> None:
    """A monitor that was started with a file of rules takes none over the wire."""
    rules = tmp_path / "alerts.toml"
    rules.write_text("[shipped]\noff = ['data-drift']\n")
    async with alerting(tmp_path / "data", alert_rules=rules) as scene:
        request = pb.ApplyRulesRequest(rules="")
        told = await told_by(scene.alerts.ApplyRules(request))
        assert expected("FailedPrecondition", FIXED) == told
        found = await scene.alerts.ListRules(pb.ListRulesRequest())
        assert ["data-drift"] == [rule.name for rule in found.rules if rule.disabled]
        assert (str(rules), rules.read_text()) == (found.path, found.source)


async def test_a_long_comment_is_refused(tmp_path: Path) -> None:
    """What is said of an alert is bounded."""
    async with alerting(tmp_path) as scene:
        await scene.report(replica="a")
        await scene.report(replica="a", skip=3)  # which are missing
        await scene.evaluated()
        found = await scene.only()
        request = pb.AcknowledgeAlertRequest(id=found.id, comment="x" * 1001)
        told = await told_by(scene.alerts.AcknowledgeAlert(request))
        assert expected("InvalidArgument", "COMMENT_TOO_LONG") == told
