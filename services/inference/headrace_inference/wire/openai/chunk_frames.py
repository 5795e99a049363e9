"""The chunks of a streamed answer as bytes: what all have in common is written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from headrace.service.http.events import event
from headrace_inference.domain.generation.requests import GeneratedChunk, Usage
from headrace_inference.wire.openai.answer_head import AnswerHead
from headrace_inference.wire.openai.streams import usage_object

DONE = event(b"[DONE]")

_encode = msgspec.json.encode


class ChunkFrames:
    """Writes the chunks of one answer; `with_usage`: its last one has the usage, and all others say so."""

    def __init__(self, head: AnswerHead, *, with_usage: bool) -> None:
        self._opening = b"data: " + head.opening() + b',"choices":['
        self._closing = b'],"usage":null}\n\n' if with_usage else b"]}\n\n"

    def choice(self, members: Mapping[str, object], usage: Usage | None = None) -> bytes:
        """A chunk of one choice; with the usage so far where that is wanted in each."""
        closing = self._closing
        if usage is not None:
            closing = b'],"usage":' + _encode(usage_object(usage)) + b"}\n\n"
        return self._opening + _encode(members) + closing

    def around(self, before: bytes, after: bytes) -> tuple[bytes, bytes]:
        """Return what comes before and after the one value that differs from chunk to chunk."""
        return self._opening + before, after + self._closing

    def usage(self, usage: Usage) -> bytes:
        """The chunk of the usage, which has no choices."""
        return self._opening + b'],"usage":' + _encode(usage_object(usage)) + b"}\n\n"


class RunningUsage:
    """Counts tokens while they come."""

    def __init__(self, prompt_tokens: int) -> None:
        self.usage = Usage(prompt_tokens, 0)

    def take(self, chunks: Sequence[GeneratedChunk]) -> None:
        """Count what came."""
        more = sum(len(chunk.tokens) for chunk in chunks)
        before = self.usage
        self.usage = Usage(before.prompt_tokens, before.completion_tokens + more)
