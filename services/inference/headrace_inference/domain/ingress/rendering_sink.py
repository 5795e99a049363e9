"""The sink of requests that want more than plain outputs, behind whichever front took them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from headrace.errors import HeadraceError
from headrace_inference.domain.extensions.output_rendering import RenderedOutput, rendered_outputs
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.scheduling.answering_version import AnsweringVersion
from headrace_inference.domain.scheduling.requests import (
    BatchResult,
    Encoded,
    EncodedResponses,
    InferenceRequest,
)

Encode = Callable[[AnsweringVersion, InferenceRequest, list[RenderedOutput], BatchResult], Encoded]
Deliver = Callable[[Encoded], Collection[InferenceRequest]]
Fail = Callable[[InferenceRequest, HeadraceError], None]


class RenderingSink:
    """Renders outputs by their options, then answers; where that fails, the request fails alone.

    A sink of its own, so that batches without options never look for them.
    """

    takes_parts = False

    def __init__(self, regions: RegionTable, encode: Encode, deliver: Deliver, fail: Fail) -> None:
        self._regions = regions
        self._encode = encode
        self._deliver = deliver
        self._fail = fail

    def encode(
        self, version: AnsweringVersion, result: BatchResult, indexes: Sequence[int]
    ) -> EncodedResponses:
        """Make the answers to these requests of a batch."""
        answers: list[Encoded] = []
        refused: dict[int, HeadraceError] = {}
        for index in indexes:
            request = result.requests[index]
            outputs = result.outputs_of(index)
            try:
                shown = rendered_outputs(version, request.plan, outputs, self._regions)
                answers.append(self._encode(version, request, shown, result))
            except HeadraceError as error:
                refused[index] = error
        return answers, refused

    def deliver(self, answers: Sequence[Encoded]) -> Collection[InferenceRequest]:
        """Deliver what was encoded; those that are not to be counted as answered."""
        return [request for answer in answers for request in self._deliver(answer)]

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Answer this request with an error."""
        self._fail(request, error)
