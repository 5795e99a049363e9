"""The RPC methods about drift: each decodes, calls the domain, and encodes."""

from __future__ import annotations

from headrace.monitor.v1 import drift_service_pb2, drift_service_pb2_grpc
from headrace_monitor.domain.drift.questions import DriftDesk
from headrace_monitor.wire.grpc import drift_convert


class DriftServicer(drift_service_pb2_grpc.DriftServiceServicer):
    """Hands questions to the desk."""

    def __init__(self, desk: DriftDesk) -> None:
        self._desk = desk

    async def QueryDrift(
        self, request: drift_service_pb2.QueryDriftRequest, context: object
    ) -> drift_service_pb2.QueryDriftResponse:
        """Answer how fields stand."""
        shown = request.with_distributions
        return await self._desk.ask(
            drift_convert.query_from_proto(request),
            lambda found: drift_service_pb2.QueryDriftResponse(
                versions=[
                    drift_convert.subject_to_proto(each, with_distributions=shown) for each in found
                ],
                alpha=self._desk.alpha,
                margin=self._desk.margin,
            ),
        )

    async def ResetBaseline(
        self, request: drift_service_pb2.ResetBaselineRequest, context: object
    ) -> drift_service_pb2.ResetBaselineResponse:
        """Have what rows are compared with learnt anew."""
        drift_convert.check_reset(request)
        part = request.slice if request.HasField("slice") else None
        count = await self._desk.reset(request.model, request.version, part)
        return drift_service_pb2.ResetBaselineResponse(reset_count=count)
