"""Encodes what was generated as messages of GenerationService."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headrace.inference.v1 import generation_service_pb2 as pb
from headrace.language.chats.tool_reader import CallDelta, ToolAnswers, ToolCallReader
from headrace_inference.domain.generation.model import TextCodec
from headrace_inference.domain.generation.requests import (
    FinishReason,
    GeneratedChunk,
    TokenScore,
    Usage,
)

_FINISHED = {
    None: pb.FINISH_REASON_UNSPECIFIED,
    FinishReason.STOP: pb.FINISH_REASON_STOP,
    FinishReason.LENGTH: pb.FINISH_REASON_LENGTH,
}


class AnswerWriter:
    """Writes what is new of the answers of one call; with `tools`, calls apart from words."""

    def __init__(self, codec: TextCodec, tools: ToolAnswers | None = None) -> None:
        self.codec = codec
        self._tools = tools
        self._readers: dict[int, _Calls] = {}

    def written(self, chunks: Iterable[GeneratedChunk]) -> list[pb.GeneratedChunk]:
        """These chunks as messages."""
        return [self._chunk(chunk) for chunk in chunks]

    def _chunk(self, chunk: GeneratedChunk) -> pb.GeneratedChunk:
        message = chunk_to_proto(chunk, self.codec)
        if self._tools is not None:
            if chunk.choice not in self._readers:
                self._readers[chunk.choice] = _Calls(self._tools.new_reader())
            self._readers[chunk.choice].take_apart(message)
        return message


class _Calls:
    """The calls of one answer."""

    def __init__(self, reader: ToolCallReader) -> None:
        self._reader = reader
        self._calls: dict[int, pb.ToolCall] = {}

    def take_apart(self, message: pb.GeneratedChunk) -> None:
        """Leave words alone in the text; the last chunk gets the calls."""
        parts = self._reader.push(message.text)
        has_ended = message.finish_reason != pb.FINISH_REASON_UNSPECIFIED
        if has_ended:
            parts += self._reader.finish()
        message.text = "".join([part for part in parts if isinstance(part, str)])
        for part in parts:
            if isinstance(part, CallDelta):
                call = self._calls.setdefault(part.index, pb.ToolCall())
                call.id, call.name = call.id or part.id, call.name or part.name
                call.arguments += part.arguments
        if has_ended and self._calls:
            message.tool_calls.extend(self._calls.values())
            if message.finish_reason == pb.FINISH_REASON_STOP:
                message.finish_reason = pb.FINISH_REASON_TOOL_CALLS


def chunk_to_proto(chunk: GeneratedChunk, codec: TextCodec) -> pb.GeneratedChunk:
    """Encode what is new of an answer."""
    message = pb.GeneratedChunk(
        choice=chunk.choice,
        text=chunk.text,
        token_ids=chunk.tokens,
        scores=scores_to_proto(chunk.scores, codec),
        finish_reason=_FINISHED[chunk.finish],
    )
    if isinstance(chunk.stopped_by, str):
        message.stop_string = chunk.stopped_by
    elif chunk.stopped_by is not None:
        message.stop_token_id = chunk.stopped_by
    return message


def scores_to_proto(scores: Iterable[TokenScore], codec: TextCodec) -> list[pb.TokenScore]:
    """Tokens with their log-probabilities."""
    return [
        pb.TokenScore(
            token_id=score.token,
            logprob=score.logprob,
            top_token_ids=[token for token, _ in score.top],
            top_logprobs=[logprob for _, logprob in score.top],
            token=codec.token_bytes(score.token),
        )
        for score in scores
    ]


def usage_to_proto(usages: Sequence[Usage]) -> pb.Usage:
    """The tokens of generations, together."""
    return pb.Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
    )


def joined(chunks: Iterable[GeneratedChunk]) -> list[GeneratedChunk]:
    """All of each choice as one chunk, in their order."""
    of_choice: dict[int, list[GeneratedChunk]] = {}
    for chunk in chunks:
        of_choice.setdefault(chunk.choice, []).append(chunk)
    return [_joined(of_choice[choice]) for choice in sorted(of_choice)]


def _joined(chunks: Sequence[GeneratedChunk]) -> GeneratedChunk:
    last = chunks[-1]
    return GeneratedChunk(
        last.choice,
        "".join([chunk.text for chunk in chunks]),
        tuple(token for chunk in chunks for token in chunk.tokens),
        tuple(score for chunk in chunks for score in chunk.scores),
        last.finish,
        last.stopped_by,
    )


def ranked(scores: Sequence[float], most: int) -> list[pb.RankedDocument]:
    """Documents by their scores, the best first, of equals the earlier; `most` of them, 0 is all."""
    places = sorted(range(len(scores)), key=lambda place: -scores[place])
    return [pb.RankedDocument(index=place, score=scores[place]) for place in places[: most or None]]
