"""The client's labels, and its questions about quality."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from headrace.client import methods, quality_messages
from headrace.client.calls import Calls, finished
from headrace.client.methods import Undecodable
from headrace.client.quality_resources import Label, LabelCounts, QualityAnswer
from headrace.conversion.times import seconds_to_proto
from headrace.monitor.v1 import quality_service_pb2 as pb

MAX_TOGETHER = 5_000
"""Labels in one message: 0.5 MB with usual ids, of the 4 MiB that a monitor takes."""


class QualityCalls:
    """The truth about answers, and how good they were."""

    _calls: Calls

    async def record_labels(
        self, model: str, labels: Iterable[Label], *, timeout_seconds: float | None = None
    ) -> LabelCounts:
        """Tell the truth about answers of a model; any number of labels, of which 5,000 are sent at a time.

        A label that was told before counts once, so all may be told again after an error. Raises
        InvalidArgument for one without id, or that is no finite number. The time is that of 5,000.
        """
        counts = LabelCounts()
        for some in _parts(labels):
            message = pb.RecordLabelsRequest(
                model=model, labels=map(quality_messages.label_to_proto, some)
            )
            told = await self._record(message, timeout_seconds)
            counts = quality_messages.counts_from_proto(told, counts)
        return counts

    async def _record(
        self, message: pb.RecordLabelsRequest, timeout_seconds: float | None
    ) -> pb.RecordLabelsResponse:
        async def attempt(address: str, seconds: float) -> pb.RecordLabelsResponse | Undecodable:
            upload = self._calls.upload(methods.RECORD_LABELS, address)
            metadata = self._calls.metadata()
            return await finished(
                upload.future(iter([message]), timeout=seconds, metadata=metadata)
            )

        return await self._calls.call(
            "monitor", attempt, repeatable=True, timeout_seconds=timeout_seconds
        )

    async def quality(
        self,
        model: str = "",
        version: int = 0,
        *,
        slice_name: str | None = None,
        window_seconds: float = 86_400.0,
        step_seconds: float | None = None,
        timeout_seconds: float | None = None,
    ) -> QualityAnswer:
        """Return how good answers of the last `window_seconds` were, by version and slice.

        `slice_name` "" is of all requests together, None of every slice as well. With `step_seconds`, 600
        or more, each stretch of that length is answered apart. Raises InvalidArgument for a window or step
        out of range.
        """
        request = pb.QueryQualityRequest(
            model=model,
            version=version,
            slice=slice_name,
            window=seconds_to_proto(window_seconds),
        )
        if step_seconds is not None:
            request.step.CopyFrom(seconds_to_proto(step_seconds))
        found = await self._calls.unary(
            "monitor", methods.QUERY_QUALITY, request, timeout_seconds=timeout_seconds
        )
        return quality_messages.quality_from_proto(found)


def _parts(labels: Iterable[Label]) -> Iterator[Sequence[Label]]:
    remaining = iter(labels)
    while some := list(islice(remaining, MAX_TOGETHER)):
        yield some
