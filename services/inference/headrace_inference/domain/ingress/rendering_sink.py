"""Delivers results of requests with output options (classification, shared memory)."""

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
    ResponsePart,
)

Encode = Callable[[AnsweringVersion, InferenceRequest, list[RenderedOutput], BatchResult], Encoded]
Deliver = Callable[[Encoded], Collection[InferenceRequest]]
Fail = Callable[[InferenceRequest, HeadraceError], None]


class RenderingSink:
    """Renders outputs by their options, then answers; where that fails, the request fails alone.

    A sink of its own, so that batches without options never look for them.
    """

    def __init__(
        self,
        regions: RegionTable,
        encode: Encode,
        deliver: Deliver,
        fail: Fail,
        *,
        takes_parts: bool = False,
    ) -> None:
        self.takes_parts = takes_parts
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
            try:
                rendered = self._rendered(version, result, index)
                answers.append(self._encode(version, request, rendered, result))
            except HeadraceError as error:
                refused[index] = error
        return answers, refused

    def _rendered(
        self, version: AnsweringVersion, result: BatchResult, index: int
    ) -> list[RenderedOutput]:
        if result.part is ResponsePart.END:
            return []
        plan, outputs = result.requests[index].plan, result.outputs_of(index)
        return rendered_outputs(version, plan, outputs, self._regions)

    def deliver(self, answers: Sequence[Encoded]) -> Collection[InferenceRequest]:
        """Deliver what was encoded; those that are not to be counted as answered."""
        return [request for answer in answers for request in self._deliver(answer)]

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Answer this request with an error."""
        self._fail(request, error)
