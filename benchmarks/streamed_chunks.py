"""Measures what writing a token as a chunk of a chat costs: `python -m benchmarks.streamed_chunks`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from headrace_inference.domain.generation.model import TextCodec
from headrace_inference.domain.generation.requests import GeneratedChunk
from headrace_inference.wire.openai.answer_head import AnswerHead
from headrace_inference.wire.openai.answer_parts import TextReader
from headrace_inference.wire.openai.chat_answers import ChatForm, StreamedChat
from headrace_inference.wire.openai.scores import TokenTexts

TOKENS = 20_000
ROUNDS = 15
HEAD = AnswerHead("chatcmpl-" + "0" * 32, "chat.completion.chunk", 0, "smol", "smol/1-00000000")
CHUNKS = [[GeneratedChunk(0, " hello", (5,))]] * TOKENS


class _NoCodec:
    """Nothing is scored, so nothing is asked of it."""

    size = 0

    def encode(
        self, text: str, *, add_special_tokens: bool, parse_special: bool = False
    ) -> list[int]:
        raise NotImplementedError

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        raise NotImplementedError

    def token_bytes(self, token: int) -> bytes:
        raise NotImplementedError


def round_ns(codec: TextCodec) -> float:
    """Nanoseconds a token, in one round."""
    form = ChatForm(
        head=HEAD, prompt=[1], choices=1, new_reader=TextReader, texts=TokenTexts(codec)
    )
    answer = StreamedChat(form)
    began = time.perf_counter_ns()
    for chunks in CHUNKS:
        answer.chunks(0, chunks)
    return (time.perf_counter_ns() - began) / TOKENS


def main() -> None:
    """Print the median of the rounds."""
    rounds = [round_ns(_NoCodec()) for _ in range(ROUNDS)]
    print(f"a chunk of one token: {statistics.median(rounds) / 1000:.2f} µs")


if __name__ == "__main__":
    main()
