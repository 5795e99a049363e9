"""Counts a call on its way from the encoder to its caller."""

from __future__ import annotations

from collections.abc import Callable

from headrace.errors import HeadraceError
from headrace_inference.domain.encoding.requests import EncodingCall, EncodingSink, Vectors
from headrace_inference.domain.generation.statistics import EndedGeneration
from headrace_inference.domain.scheduling.runner import RunFailed
from headrace_inference.domain.versions.batch_executor import Execution

RUN_FAILED = "RUN_FAILED"


class CountedEncoding:
    """The sink of a call, around its own."""

    def __init__(
        self,
        call: EncodingCall,
        execution: Execution,
        is_over: Callable[[EncodingCall], None],
        *,
        counts_run: bool,
    ) -> None:
        self._call = call
        self._inner: EncodingSink = call.sink
        self._execution = execution
        self._is_over = is_over
        self._counts_run = counts_run

    def encoded(self, vectors: Vectors) -> None:
        """Count the run and its tokens, then hand the vectors on."""
        call, execution = self._call, self._execution
        execution.failures.length = 0
        began, now = call.started_ns, execution.clock.monotonic_ns()
        if self._counts_run:
            with execution.statistics.lock:
                execution.statistics.record_run((), len(vectors), (began, began, now, now))
        tokens = sum(map(len, call.request.texts))
        execution.statistics.generation.record_end(
            EndedGeneration(call.route, call.received_ns, began, 0, now, tokens, 0, 0)
        )
        self._is_over(self._call)
        self._inner.encoded(vectors)

    def failed(self, error: HeadraceError) -> None:
        """Hand it on; failing runs may mean that the version is broken."""
        if error.reason == RUN_FAILED:
            self._execution.failures.add(RunFailed(error.message))
        self._is_over(self._call)
        self._inner.failed(error)
