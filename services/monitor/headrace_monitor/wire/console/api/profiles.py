"""GET /api/v1/models/{model}/profiles: what the gRPC service of profiles answers, as JSON."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from headrace.monitor.v1 import profile_service_pb2 as pb
from headrace.service.http.requests import Request
from headrace_monitor.wire.console.api import parameters
from headrace_monitor.wire.console.api.api import Api, Make
from headrace_monitor.wire.console.api.messages_json import message_json
from headrace_monitor.wire.grpc.profile_servicer import ProfileServicer

HOUR_SECONDS = 3600
MAX_SECONDS = 10 * 366 * 86_400


class ProfilesApi:
    """Answers what the rows of a version looked like."""

    def __init__(self, profiles: ProfileServicer) -> None:
        self._profiles = profiles

    def add_to(self, api: Api) -> None:
        """Add the route."""
        api.get("/models/{model}/profiles", self._of_version)

    async def _of_version(self, request: Request) -> Make:
        window = parameters.whole_number(request, "window", HOUR_SECONDS, 1, MAX_SECONDS)
        asked = pb.QueryProfilesRequest(
            model=request.names["model"],
            version=parameters.whole_number(request, "version", 0, 0, 2**63 - 1),
            slice=parameters.text(request, "slice"),
            window=Duration(seconds=window),
        )
        if end := int(parameters.seconds(request, "end", 0.0)):
            asked.end_time.CopyFrom(Timestamp(seconds=end))
        if step := parameters.whole_number(request, "step", 0, 0, MAX_SECONDS):
            asked.step.CopyFrom(Duration(seconds=step))
        found = await self._profiles.QueryProfiles(asked, None)
        return lambda: message_json(found)
