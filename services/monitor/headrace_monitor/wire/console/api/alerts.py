"""/api/v1/alerts, /objectives and /silences: what the gRPC service of alerts answers, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from headrace.monitor.v1 import alert_service_pb2 as pb
from headrace.service.http.requests import Request
from headrace_monitor.domain.alerts.alert_desk import MAX_PAGE
from headrace_monitor.wire.console.api import bodies, parameters
from headrace_monitor.wire.console.api.api import Api, Make
from headrace_monitor.wire.console.api.messages_json import message_json
from headrace_monitor.wire.grpc.alert_servicer import AlertServicer
from headrace_monitor.wire.sight import Sight

MAX_SECONDS = 10**11
STATES = {
    "": pb.ALERT_STATE_UNSPECIFIED,
    "pending": pb.ALERT_STATE_PENDING,
    "firing": pb.ALERT_STATE_FIRING,
    "resolved": pb.ALERT_STATE_RESOLVED,
}
SEVERITIES = {
    "": pb.SEVERITY_UNSPECIFIED,
    "info": pb.SEVERITY_INFO,
    "ticket": pb.SEVERITY_TICKET,
    "page": pb.SEVERITY_PAGE,
}


class AcknowledgeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody looks after an alert."""

    comment: str = ""


class NoBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing more is to be said."""


class SilenceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which alerts nobody is told of, until when, and why."""

    end_time: float
    comment: str
    model: str = ""
    rule: str = ""
    version: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    replica: str = ""


class AlertsApi:
    """Answers for alerts. Who may do what is decided by the gRPC service that it asks."""

    def __init__(self, alerts: AlertServicer, sight: Sight) -> None:
        self._alerts = alerts
        self._sight = sight

    def add_to(self, api: Api) -> None:
        """Add the routes."""
        api.get("/alerts", self._list)
        api.post("/alerts/{id}/acknowledge", self._acknowledge)
        api.get("/alerts/rules", self._rules)
        api.get("/objectives", self._objectives)
        api.get("/silences", self._silences)
        api.post("/silences", self._silence)
        api.post("/silences/{id}/end", self._end_silence)

    async def _list(self, request: Request) -> Make:
        state = parameters.choice(request, "state", STATES, "").removeprefix("-")
        severity = parameters.choice(request, "severity", SEVERITIES, "").removeprefix("-")
        asked = pb.ListAlertsRequest(
            model=parameters.text(request, "model"),
            rule=parameters.text(request, "rule"),
            state=STATES[state],
            severity=SEVERITIES[severity],
            page_size=parameters.whole_number(request, "size", 200, 1, MAX_PAGE),
            page_token=parameters.text(request, "page"),
        )
        found = await self._alerts.ListAlerts(asked, None)
        verbs = self._sight.verbs()

        def make() -> object:
            alerts = [message_json(each) | {"may": verbs(each.model)} for each in found.alerts]
            return message_json(found) | {"alerts": alerts}

        return make

    async def _acknowledge(self, request: Request, document: Mapping[str, object]) -> object:
        body = bodies.read(AcknowledgeBody, document)
        asked = pb.AcknowledgeAlertRequest(id=request.names["id"], comment=body.comment)
        return {"alert": message_json(await self._alerts.AcknowledgeAlert(asked, None))}

    async def _rules(self, _: Request) -> Make:
        found = await self._alerts.ListRules(pb.ListRulesRequest(), None)
        return lambda: message_json(found)

    async def _objectives(self, request: Request) -> Make:
        asked = pb.ListObjectivesRequest(model=parameters.text(request, "model"))
        found = await self._alerts.ListObjectives(asked, None)
        return lambda: message_json(found)

    async def _silences(self, _: Request) -> Make:
        found = await self._alerts.ListSilences(pb.ListSilencesRequest(), None)
        return lambda: message_json(found)

    async def _silence(self, _: Request, document: Mapping[str, object]) -> object:
        body = bodies.read(SilenceBody, document)
        if not 0 <= body.end_time < MAX_SECONDS:
            raise bodies.invalid("`end_time` must be a time in seconds since the epoch")
        silence = pb.Silence(
            model=body.model,
            rule=body.rule,
            version=body.version,
            replica=body.replica,
            comment=body.comment,
            end_time=Timestamp(seconds=int(body.end_time)),
        )
        made = await self._alerts.CreateSilence(pb.CreateSilenceRequest(silence=silence), None)
        return {"silence": message_json(made)}

    async def _end_silence(self, request: Request, document: Mapping[str, object]) -> object:
        bodies.read(NoBody, document)
        await self._alerts.DeleteSilence(pb.DeleteSilenceRequest(id=request.names["id"]), None)
        return {}
