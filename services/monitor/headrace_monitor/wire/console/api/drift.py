"""/api/v1/models/{model}/drift, and …/drift/reset: what the gRPC service of drift answers, as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from google.protobuf.duration_pb2 import Duration

from headrace.monitor.v1 import drift_service_pb2 as pb
from headrace.service.http.requests import Request
from headrace_monitor.wire.console.api import bodies, parameters
from headrace_monitor.wire.console.api.api import Api, Make
from headrace_monitor.wire.console.api.messages_json import message_json
from headrace_monitor.wire.grpc.drift_servicer import DriftServicer

HOUR_SECONDS, DAY_SECONDS = 3600, 86_400


class ResetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is learnt anew: a version's rows, or those of one slice."""

    version: bodies.Number
    slice: str | None = None


class DriftApi:
    """Answers how the data of a model's versions stand."""

    def __init__(self, drift: DriftServicer) -> None:
        self._drift = drift

    def add_to(self, api: Api) -> None:
        """Add the routes."""
        api.get("/models/{model}/drift", self._of_model)
        api.post("/models/{model}/drift/reset", self._reset)

    async def _of_model(self, request: Request) -> Make:
        stretch = parameters.whole_number(request, "stretch", HOUR_SECONDS, 1, DAY_SECONDS)
        distributions = parameters.choice(request, "distributions", ("true", "false"), "false")
        asked = pb.QueryDriftRequest(
            model=request.names["model"],
            version=parameters.whole_number(request, "version", 0, 0, 2**63 - 1),
            slice=parameters.text(request, "slice"),
            field=parameters.text(request, "field"),
            with_distributions=distributions == "true",
            stretch=Duration(seconds=stretch),
        )
        found = await self._drift.QueryDrift(asked, None)
        return lambda: message_json(found)

    async def _reset(self, request: Request, document: Mapping[str, object]) -> object:
        body = bodies.read(ResetBody, document)
        asked = pb.ResetBaselineRequest(
            model=request.names["model"], version=body.version, slice=body.slice
        )
        return message_json(await self._drift.ResetBaseline(asked, None))
