"""The RPC methods of quality: each decodes, calls the domain, and encodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from headrace import errors
from headrace.monitor.v1 import quality_service_pb2 as pb
from headrace.monitor.v1 import quality_service_pb2_grpc
from headrace.security.access import OPEN_ACCESS, Access
from headrace_monitor.domain.quality.labels import Label, LabelCounts
from headrace_monitor.domain.quality.quality_desk import QualityDesk
from headrace_monitor.wire.grpc import label_convert, quality_convert, streams
from headrace_monitor.wire.sight import Sight

SMALL_LABELS = 500
"""Of a message whose labels are read where they come in."""


class QualityServicer(quality_service_pb2_grpc.QualityServiceServicer):
    """Hands labels and questions to the desk; a stream of labels ends when `stopping` is set."""

    def __init__(
        self, desk: QualityDesk, stopping: asyncio.Event, access: Access = OPEN_ACCESS
    ) -> None:
        self._desk = desk
        self._stopping = stopping
        self._sight = Sight(access)

    async def RecordLabels(
        self, request_iterator: AsyncIterator[pb.RecordLabelsRequest], context: object
    ) -> pb.RecordLabelsResponse:
        """Store labels message by message, and tell what came of all."""
        counts, model = LabelCounts(), ""
        async for request in streams.until_set(self._stopping, request_iterator):
            model = model or request.model
            labels = await self._labels(request, model)
            counts.add(await self._desk.label(model, labels))
        if self._stopping.is_set():
            raise errors.Unavailable(
                "SERVICE_STOPPING",
                "the monitor stops, and may not have read all labels: send them all again",
            )
        return label_convert.counts_to_proto(counts)

    async def _labels(self, request: pb.RecordLabelsRequest, model: str) -> Sequence[Label]:
        """The labels of a message; ten thousand take 50 ms, in which others are answered."""

        def read() -> Sequence[Label]:
            return label_convert.labels_from_proto(request, model)

        return read() if len(request.labels) <= SMALL_LABELS else await self._desk.work(read)

    async def QueryQuality(
        self, request: pb.QueryQualityRequest, context: object
    ) -> pb.QueryQualityResponse:
        """Answer how good answers were."""
        query = quality_convert.query_from_proto(request)
        seen = replace(query, is_seen=self._sight.models())
        return quality_convert.answer_to_proto(await self._desk.ask(seen))
