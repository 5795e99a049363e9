"""Answers to chats: as one object, or as a stream of chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from headrace.service.http.answers import Response, json_response
from headrace_inference.domain.generation.requests import (
    FinishReason,
    GeneratedChunk,
    TokenScore,
    Usage,
)
from headrace_inference.domain.ingress.generation_stream import PromptScores
from headrace_inference.wire.openai.answer_head import AnswerHead
from headrace_inference.wire.openai.answer_parts import AnswerReader, Part, WholeChoice
from headrace_inference.wire.openai.chunk_frames import DONE, ChunkFrames, RunningUsage
from headrace_inference.wire.openai.event_answers import EventAnswer
from headrace_inference.wire.openai.scores import Entry, TokenTexts, chat_entries, prompt_entries
from headrace_inference.wire.openai.streams import Piece, usage_object

NewReader = Callable[[], AnswerReader]

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatForm:
    """Writes the answer to one chat."""

    head: AnswerHead
    prompt: Sequence[int]
    choices: int
    new_reader: NewReader
    calls_end_it: bool = True
    """Whether an answer that calls ends for that."""
    texts: TokenTexts
    is_scored: bool = False
    """Whether each token's log-probability is told."""
    ends: frozenset[int] = frozenset()
    """The tokens that end an answer and are no part of it."""
    has_tokens: bool = False
    """Whether token ids are told, too."""
    with_usage: bool = False
    usage_in_each: bool = False

    def entries(self, scores: Sequence[TokenScore]) -> list[Entry]:
        """The entries of these tokens."""
        return chat_entries(self.texts, [one for one in scores if one.token not in self.ends])

    def finish_word(self, chunk: GeneratedChunk, reader: AnswerReader) -> str:
        """Why a choice ended, in OpenAI's words."""
        if chunk.finish is FinishReason.STOP and reader.has_calls and self.calls_end_it:
            return "tool_calls"
        return str(chunk.finish)


def _delta(part: Part) -> Mapping[str, object]:
    return {"content": part} if isinstance(part, str) else {"tool_calls": [part.members()]}


@dataclass(slots=True)
class _Choice:
    reader: AnswerReader
    whole: WholeChoice = field(default_factory=WholeChoice)
    entries: list[Entry] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    finish: str | None = None
    stopped_by: str | int | None = None


class WholeChat:
    """Puts the answer to a chat together."""

    def __init__(self, form: ChatForm) -> None:
        self._form = form
        self._choices = [_Choice(form.new_reader()) for _ in range(form.choices)]
        self._prompt_scores: Sequence[TokenScore] | None = None

    def take(self, _: int, piece: Piece) -> None:
        """Take more of it."""
        if isinstance(piece, PromptScores):
            self._prompt_scores = piece.scores
            return
        for chunk in piece:
            self._take(self._choices[chunk.choice], chunk)

    def _take(self, choice: _Choice, chunk: GeneratedChunk) -> None:
        choice.whole.take(choice.reader.push(chunk.text))
        if self._form.is_scored:
            choice.entries += self._form.entries(chunk.scores)
        choice.tokens += chunk.tokens
        if chunk.finish is not None:
            choice.whole.take(choice.reader.finish())
            choice.finish = self._form.finish_word(chunk, choice.reader)
            choice.stopped_by = chunk.stopped_by

    def response(self, usage: Usage) -> Response:
        """The whole answer."""
        form = self._form
        document = form.head.members() | {
            "choices": [self._object(number, one) for number, one in enumerate(self._choices)],
            "usage": usage_object(usage),
        }
        if form.has_tokens:
            document["prompt_token_ids"] = list(form.prompt)
        if self._prompt_scores is not None:
            document["prompt_logprobs"] = prompt_entries(
                form.texts, form.prompt, self._prompt_scores
            )
        return json_response(document)

    def _object(self, number: int, choice: _Choice) -> dict[str, object]:
        scored = self._form.is_scored
        found = {
            "index": number,
            "message": choice.whole.message(),
            "logprobs": {"content": choice.entries, "refusal": None} if scored else None,
            "finish_reason": choice.finish,
            "stop_reason": choice.stopped_by,
        }
        return found | ({"token_ids": choice.tokens} if self._form.has_tokens else {})


class StreamedChat(EventAnswer):
    """Writes the chunks of a chat."""

    def __init__(self, form: ChatForm) -> None:
        self._form = form
        self._frames = ChunkFrames(form.head, with_usage=form.with_usage)
        self._readers = [form.new_reader() for _ in range(form.choices)]
        self._running = RunningUsage(len(form.prompt)) if form.usage_in_each else None
        self._is_plain = not (form.is_scored or form.has_tokens or form.usage_in_each)
        self._texts = [
            self._frames.around(
                b'{"index":%d,"delta":{"content":' % number,
                b'},"logprobs":null,"finish_reason":null}',
            )
            for number in range(form.choices)
        ]

    def opening(self) -> bytes:
        """Who speaks, of each choice: some clients need it of each."""
        delta = {"role": "assistant", "content": ""}
        return b"".join(self._chunk(number, delta) for number in range(self._form.choices))

    def scored(self, number: int, scores: PromptScores) -> bytes:  # not in streams
        """Nothing: streams have no place for them."""
        return b""

    def chunks(self, number: int, chunks: Sequence[GeneratedChunk]) -> bytes:
        """Write what is new."""
        if self._running is not None:
            self._running.take(chunks)
        return b"".join([self._written(chunk) for chunk in chunks])

    def closing(self, usage: Usage) -> bytes:
        """The usage, where it is wanted, and the end."""
        return self._frames.usage(usage) + DONE if self._form.with_usage else DONE

    def _written(self, chunk: GeneratedChunk) -> bytes:
        reader = self._readers[chunk.choice]
        parts = reader.push(chunk.text)
        if chunk.finish is None and self._is_plain:
            return b"".join([self._plain(chunk.choice, part) for part in parts])
        if chunk.finish is not None:
            parts = [*parts, *reader.finish()]
        written = self._detailed(chunk, parts)
        if chunk.finish is not None:
            written += self._finished(chunk, reader)
        return written

    def _plain(self, choice: int, part: Part) -> bytes:
        if isinstance(part, str):
            before, after = self._texts[choice]
            return before + _encode(part) + after
        return self._chunk(choice, _delta(part))

    def _detailed(self, chunk: GeneratedChunk, parts: Sequence[Part]) -> bytes:
        """The parts of a chunk, the first with what is told of its tokens."""
        more = self._told(chunk)
        if more and not parts:
            parts = ("",)
        written = []
        for part in parts:
            written.append(self._chunk(chunk.choice, _delta(part), more))
            more = {}
        return b"".join(written)

    def _told(self, chunk: GeneratedChunk) -> dict[str, object]:
        more: dict[str, object] = {}
        if self._form.is_scored:
            entries = self._form.entries(chunk.scores)
            if entries:
                more["logprobs"] = {"content": entries, "refusal": None}
        if self._form.has_tokens and chunk.tokens:
            more["token_ids"] = chunk.tokens
        return more

    def _finished(self, chunk: GeneratedChunk, reader: AnswerReader) -> bytes:
        ending = {
            "finish_reason": self._form.finish_word(chunk, reader),
            "stop_reason": chunk.stopped_by,
        }
        return self._chunk(chunk.choice, {}, ending)

    def _chunk(
        self, choice: int, delta: Mapping[str, object], more: Mapping[str, object] | None = None
    ) -> bytes:
        members = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": None}
        usage = self._running.usage if self._running is not None else None
        return self._frames.choice({**members, **(more or {})}, usage)
