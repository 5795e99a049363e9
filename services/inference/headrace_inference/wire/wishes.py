"""The sink of requests that want more than plain outputs, behind whichever front took them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from headrace.errors import HeadraceError
from headrace_inference.domain.requests import BatchResult, Pending
from headrace_inference.domain.served import ServedVersion
from headrace_inference.domain.shared_memory import RegionTable
from headrace_inference.domain.shown import Shown, shown_outputs

Answer = Callable[[ServedVersion, Pending, list[Shown]], None]
Fail = Callable[[Pending, HeadraceError], None]


class WishSink:
    """Makes outputs what was wished, then answers; where that fails, the request fails alone.

    A sink of its own, so that batches without wishes never look for them.
    """

    def __init__(self, regions: RegionTable, answer: Answer, fail: Fail) -> None:
        self._regions = regions
        self._answer = answer
        self._fail = fail

    def answered(self, served: Any, result: BatchResult, indexes: Sequence[int]) -> Collection[int]:
        """Answer these requests of a batch; those that cannot be answered are returned."""
        refused = []
        for index in indexes:
            request = result.requests[index]
            outputs = result.outputs_of(index)
            try:
                shown = shown_outputs(served, request.plan, outputs, self._regions)
            except HeadraceError as error:
                request.fail(error)
                refused.append(index)
            else:
                self._answer(served, request, shown)
        return refused

    def failed(self, request: Pending, error: HeadraceError) -> None:
        """Answer this request with an error."""
        self._fail(request, error)
