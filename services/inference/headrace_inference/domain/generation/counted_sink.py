"""Counts a generation on its way from the engine to its caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headrace.errors import Cancelled, HeadraceError
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.generation.requests import (
    GeneratedChunk,
    GenerationCall,
    GenerationSink,
    TokenScore,
    Usage,
)
from headrace_inference.domain.generation.statistics import EndedGeneration, GenerationCounters

ABORTED, FAILED = "abort", "error"


class CountedSink:
    """The sink of a call, around its own. `is_over` is called once, when it ends or fails."""

    def __init__(
        self,
        call: GenerationCall,
        counters: GenerationCounters,
        clock: Clock,
        is_over: Callable[[GenerationCall, HeadraceError | None, Usage], None],
    ) -> None:
        self._call = call
        self._inner: GenerationSink = call.sink
        self._counters = counters
        self._now_ns = clock.monotonic_ns
        self._is_over = is_over
        self._last_ns: dict[int, int] = {}
        """When each choice had its last token."""

    @property
    def is_full(self) -> bool:
        """As the sink within."""
        return self._inner.is_full

    def prompt_scored(self, scores: Sequence[TokenScore]) -> None:
        """Hand them on."""
        self._inner.prompt_scored(scores)

    def deliver(self, chunks: Sequence[GeneratedChunk]) -> None:
        """Hand them on, then count: whoever waits for them should not wait for that."""
        self._inner.deliver(chunks)
        now, route = self._now_ns(), self._call.route
        for chunk in chunks:
            if count := len(chunk.tokens):
                self._count_tokens(chunk.choice, count, now)
            if chunk.finish is not None:
                self._counters.record_finish(route, chunk.finish.value)

    def ended(self, usage: Usage) -> None:
        """Count it, then hand it on: whoever has the answer and asks finds it counted."""
        self._record(usage)
        self._is_over(self._call, None, usage)
        self._inner.ended(usage)

    def failed(self, error: HeadraceError, usage: Usage) -> None:
        """The same of its error."""
        gone = isinstance(error, Cancelled)
        self._counters.record_finish(self._call.route, ABORTED if gone else FAILED)
        self._record(usage)
        self._is_over(self._call, error, usage)
        self._inner.failed(error, usage)

    def _count_tokens(self, choice: int, count: int, now_ns: int) -> None:
        last = self._last_ns.get(choice)
        self._last_ns[choice] = now_ns
        if last is not None:
            self._counters.record_gap(self._call.route, (now_ns - last) // count, count)
        elif not self._call.first_token_ns:
            self._call.first_token_ns = now_ns

    def _record(self, usage: Usage) -> None:
        call = self._call
        self._counters.record_end(
            EndedGeneration(
                call.route,
                call.received_ns,
                call.started_ns,
                call.first_token_ns,
                self._now_ns(),
                usage.prompt_tokens,
                usage.cached_tokens,
                usage.completion_tokens,
                call.times_put_off,
            )
        )
