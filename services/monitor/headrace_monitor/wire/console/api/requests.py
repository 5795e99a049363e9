"""GET /api/v1/models/{model}/requests: the newest requests with an id, of a version and a slice."""

from __future__ import annotations

from headrace.service.http.requests import Request
from headrace_monitor.domain.quality.recent_requests import RecentRequests
from headrace_monitor.domain.telemetry.prediction import Prediction
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.wire.console.api import parameters
from headrace_monitor.wire.console.api.api import Api, Make


class RequestsApi:
    """Answers which requests there were lately."""

    def __init__(self, recent: RecentRequests) -> None:
        self._recent = recent

    def add_to(self, api: Api) -> None:
        """Add the route."""
        api.get("/models/{model}/requests", self._of_model)

    async def _of_model(self, request: Request) -> Make:
        found = self._recent.of(
            request.names["model"],
            parameters.whole_number(request, "version", 0, 0, 2**63 - 1),
            parameters.text(request, "slice"),
            int(parameters.seconds(request, "since", 0.0) * NANOSECONDS),
        )
        return lambda: {"requests": [_request_json(each) for each in found]}


def _request_json(told: Prediction) -> dict[str, object]:
    return {
        "id": told.request_id,
        "version": told.version,
        "at": told.time_ns / NANOSECONDS,
        "slices": list(told.slices),
        "answer": told.answer,
        "confidence": told.confidence,
    }
