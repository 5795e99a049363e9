"""Takes what a language model answers on its way to the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from headrace.errors import HeadraceError
from headrace.state.records import VersionRecord
from headrace_inference.domain.generation.requests import (
    GeneratedChunk,
    GenerationCall,
    GenerationSink,
    TokenScore,
    Usage,
)
from headrace_inference.domain.payloads.taking import (
    PayloadTaker,
    TakenPayload,
    TakenText,
)
from headrace_inference.domain.sampling.taken_rows import said_by

Decode = Callable[[Sequence[int]], str]


def follow_generation(
    taker: PayloadTaker, record: VersionRecord, call: GenerationCall, decode: Decode
) -> None:
    """Have a call's prompt and answer logged when it ends, if it is one of those."""
    if taker.choice.chooses(call.asked, 1):
        call.sink = _LoggedSink(call, partial(_add, taker, record, call, decode))


def _add(
    taker: PayloadTaker,
    record: VersionRecord,
    call: GenerationCall,
    decode: Decode,
    answers: Sequence[str],
    error: str,
) -> None:
    fields = taker.fields
    prompt = call.request.prompt if fields.prompt else ()
    text = TakenText(prompt, answers if fields.answer else (), decode)
    latency_ns = taker.clock.monotonic_ns() - call.received_ns
    said = said_by(call.route, call.asked)
    taker.add(TakenPayload(record, said, taker.clock.wall_ns(), latency_ns, error, (), text))


class _LoggedSink:
    """The sink of a call, around its own: it keeps the texts until the end."""

    def __init__(self, call: GenerationCall, is_over: Callable[[Sequence[str], str], None]) -> None:
        self._inner: GenerationSink = call.sink
        self._is_over = is_over
        self._texts: list[list[str]] = [[] for _ in range(call.request.choices)]

    @property
    def is_full(self) -> bool:
        """As the sink within."""
        return self._inner.is_full

    def prompt_scored(self, scores: Sequence[TokenScore]) -> None:
        """Hand them on."""
        self._inner.prompt_scored(scores)

    def deliver(self, chunks: Sequence[GeneratedChunk]) -> None:
        """Keep the texts, and hand the pieces on."""
        for chunk in chunks:
            if chunk.text:
                self._texts[chunk.choice].append(chunk.text)
        self._inner.deliver(chunks)

    def ended(self, usage: Usage) -> None:
        """Log it, and hand it on."""
        self._is_over(["".join(texts) for texts in self._texts], "")
        self._inner.ended(usage)

    def failed(self, error: HeadraceError, usage: Usage) -> None:
        """The same of its error."""
        self._is_over(["".join(texts) for texts in self._texts], error.reason)
        self._inner.failed(error, usage)
