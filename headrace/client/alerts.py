"""The client's questions about alerts, and what it has changed of them."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from headrace.client import alert_messages, methods
from headrace.client.alert_resources import (
    Alert,
    AlertRules,
    ObjectiveStatus,
    RuleChange,
    Silence,
)
from headrace.client.calls import Calls
from headrace.conversion.times import timestamp_to_proto
from headrace.monitor.v1 import alert_service_pb2 as pb

_PAGE = 1000


class AlertCalls:
    """Alerts, their rules, silences, objectives."""

    _calls: Calls

    async def alerts(
        self,
        model: str = "",
        *,
        rule: str = "",
        state: Literal["", "pending", "firing", "resolved"] = "",
        severity: Literal["info", "ticket", "page"] = "info",
        limit: int = 1000,
        timeout_seconds: float | None = None,
    ) -> list[Alert]:
        """Alerts that are pending or firing, the worst first; with `resolved` what is over, newest first.

        `severity` is the least. Of models that the caller may read.
        """
        found: list[Alert] = []
        token = ""
        while len(found) < limit:
            request = pb.ListAlertsRequest(
                model=model,
                rule=rule,
                state=alert_messages.STATES.get(state, pb.ALERT_STATE_UNSPECIFIED),
                severity=alert_messages.SEVERITIES[severity],
                page_size=min(_PAGE, limit - len(found)),
                page_token=token,
            )
            page = await self._calls.unary(
                "monitor", methods.LIST_ALERTS, request, timeout_seconds=timeout_seconds
            )
            found += map(alert_messages.alert_from_proto, page.alerts)
            token = page.next_page_token
            if not token:
                break
        return found

    async def watch_alerts(self, model: str = "") -> AsyncGenerator[list[Alert], None]:
        """All alerts that are pending or firing, now and after every change, until the reader stops."""
        request = pb.WatchAlertsRequest(model=model)
        watched = self._calls.watch("monitor", methods.WATCH_ALERTS, request)
        async with aclosing(watched) as messages:
            async for message in messages:
                yield list(map(alert_messages.alert_from_proto, message.alerts))

    async def acknowledge_alert(
        self, alert_id: str, comment: str = "", *, timeout_seconds: float | None = None
    ) -> Alert:
        """Say that somebody looks after an alert. Raises NotFound, PermissionDenied."""
        found = await self._calls.unary(
            "monitor",
            methods.ACKNOWLEDGE_ALERT,
            pb.AcknowledgeAlertRequest(id=alert_id, comment=comment),
            timeout_seconds=timeout_seconds,
        )
        return alert_messages.alert_from_proto(found)

    async def silence_alerts(
        self,
        seconds: float,
        comment: str,
        *,
        model: str = "",
        rule: str = "",
        version: int = 0,
        replica: str = "",
        timeout_seconds: float | None = None,
    ) -> Silence:
        """Have nobody told of some alerts for so long. `model`, `rule` and `replica` are patterns (`*`).

        Raises InvalidArgument (SILENCE_INVALID), ResourceExhausted (TOO_MANY_SILENCES).
        """
        silence = pb.Silence(
            model=model,
            rule=rule,
            version=version,
            replica=replica,
            comment=comment,
            end_time=timestamp_to_proto(time.time() + seconds),
        )
        found = await self._calls.unary(
            "monitor",
            methods.CREATE_SILENCE,
            pb.CreateSilenceRequest(silence=silence),
            repeatable=False,
            timeout_seconds=timeout_seconds,
        )
        return alert_messages.silence_from_proto(found)

    async def silences(self, *, timeout_seconds: float | None = None) -> list[Silence]:
        """The silences that have not ended, those that end first before others."""
        found = await self._calls.unary(
            "monitor",
            methods.LIST_SILENCES,
            pb.ListSilencesRequest(),
            timeout_seconds=timeout_seconds,
        )
        return list(map(alert_messages.silence_from_proto, found.silences))

    async def end_silence(self, silence_id: str, *, timeout_seconds: float | None = None) -> None:
        """End a silence. Raises NotFound (SILENCE_NOT_FOUND)."""
        await self._calls.unary(
            "monitor",
            methods.DELETE_SILENCE,
            pb.DeleteSilenceRequest(id=silence_id),
            repeatable=False,
            timeout_seconds=timeout_seconds,
        )

    async def alert_rules(self, *, timeout_seconds: float | None = None) -> AlertRules:
        """The rules in force; for callers who administrate, the receivers and the file, too."""
        found = await self._calls.unary(
            "monitor", methods.LIST_RULES, pb.ListRulesRequest(), timeout_seconds=timeout_seconds
        )
        return alert_messages.rules_from_proto(found)

    async def apply_alert_rules(
        self,
        rules: str,
        *,
        dry_run: bool = False,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> RuleChange:
        """Put a file of rules (TOML) in force, or with `dry_run` only say what would change.

        Raises InvalidArgument (ALERT_RULES_INVALID) with all that is wrong, FailedPrecondition, Aborted.
        """
        request = pb.ApplyRulesRequest(rules=rules, dry_run=dry_run, etag=etag)
        found = await self._calls.unary(
            "monitor", methods.APPLY_RULES, request, timeout_seconds=timeout_seconds
        )
        return alert_messages.change_from_proto(found)

    async def test_receiver(self, receiver: str, *, timeout_seconds: float | None = None) -> str:
        """Send a test to a receiver of alerts; returns why it did not take it, '' where it did.

        Raises NotFound (RECEIVER_NOT_FOUND).
        """
        found = await self._calls.unary(
            "monitor",
            methods.TEST_RECEIVER,
            pb.TestReceiverRequest(receiver=receiver),
            repeatable=False,
            timeout_seconds=timeout_seconds,
        )
        return "" if found.delivered else found.problem or "it was not taken"

    async def objectives(
        self, model: str = "", *, timeout_seconds: float | None = None
    ) -> list[ObjectiveStatus]:
        """How the service objectives stand, those with the least budget left first."""
        found = await self._calls.unary(
            "monitor",
            methods.LIST_OBJECTIVES,
            pb.ListObjectivesRequest(model=model),
            timeout_seconds=timeout_seconds,
        )
        return list(map(alert_messages.objective_from_proto, found.objectives))
