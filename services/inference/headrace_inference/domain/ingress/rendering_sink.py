"""The sink of requests that want more than plain outputs, behind whichever front took them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from headrace.errors import HeadraceError
from headrace_inference.domain.extensions.output_rendering import RenderedOutput, shown_outputs
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.scheduling.requests import (
    BatchResult,
    EncodedResponses,
    InferenceRequest,
)
from headrace_inference.domain.versions.loaded_version import LoadedVersion

Encode = Callable[[LoadedVersion, InferenceRequest, list[RenderedOutput], BatchResult], Any]
Deliver = Callable[[Any], Collection[InferenceRequest]]
Fail = Callable[[InferenceRequest, HeadraceError], None]


class RenderingSink:
    """Makes outputs what was wished, then answers; where that fails, the request fails alone.

    A sink of its own, so that batches without wishes never look for them.
    """

    takes_parts = False

    def __init__(self, regions: RegionTable, encode: Encode, deliver: Deliver, fail: Fail) -> None:
        self._regions = regions
        self._encode = encode
        self._deliver = deliver
        self._fail = fail

    def encode(self, served: Any, result: BatchResult, indexes: Sequence[int]) -> EncodedResponses:
        """Make the answers to these requests of a batch."""
        answers: list[Any] = []
        refused: dict[int, HeadraceError] = {}
        for index in indexes:
            request = result.requests[index]
            outputs = result.outputs_of(index)
            try:
                shown = shown_outputs(served, request.plan, outputs, self._regions)
                answers.append(self._encode(served, request, shown, result))
            except HeadraceError as error:
                refused[index] = error
        return answers, refused

    def deliver(self, answers: Sequence[Any]) -> Collection[InferenceRequest]:
        """Deliver what was encoded; those that are not to be counted as answered."""
        return [request for answer in answers for request in self._deliver(answer)]

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Answer this request with an error."""
        self._fail(request, error)
