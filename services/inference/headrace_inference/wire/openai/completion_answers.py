"""Answers to completions: as one object, or as a stream of such objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from headrace.service.http.answers import Response, json_response
from headrace_inference.domain.generation.requests import GeneratedChunk, TokenScore, Usage
from headrace_inference.domain.ingress.generation_stream import PromptScores
from headrace_inference.wire.openai.answer_head import AnswerHead
from headrace_inference.wire.openai.chunk_frames import DONE, ChunkFrames, RunningUsage
from headrace_inference.wire.openai.event_answers import EventAnswer
from headrace_inference.wire.openai.scores import (
    CompletionScores,
    Entry,
    TokenTexts,
    joined,
    prompt_entries,
)
from headrace_inference.wire.openai.streams import Piece, usage_object

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionForm:
    """Writes the answers to the prompts of one request. Choices are numbered prompt by prompt."""

    head: AnswerHead
    prompts: Sequence[Sequence[int]]
    echoed: Sequence[str]
    """What each text begins with: its prompt, or nothing."""
    choices: int
    texts: TokenTexts
    ends: frozenset[int]
    is_scored: bool = False
    echoes: bool = False
    has_tokens: bool = False
    has_prompt_scores: bool = False
    with_usage: bool = False
    usage_in_each: bool = False

    def answers(self) -> list[_Answer]:
        """Nothing yet of each."""
        return [
            _Answer(self, number // self.choices)
            for number in range(len(self.prompts) * self.choices)
        ]

    def place(self, prompt: int, chunk: GeneratedChunk) -> int:
        """The number of the choice that a chunk is of."""
        return prompt * self.choices + chunk.choice


class _Answer:
    """The state of one choice so far."""

    def __init__(self, form: CompletionForm, prompt: int) -> None:
        self._form = form
        self.prompt = prompt
        self.scores = CompletionScores(form.texts, 0 if form.echoes else len(form.echoed[prompt]))

    def scored_prompt(self, scores: Sequence[TokenScore]) -> Entry:
        """The prompt's tokens, the first of which has no score."""
        first = self._form.prompts[self.prompt][:1]
        return joined([*map(self.scores.unscored, first), self.scores.of(scores)])

    def scored(self, chunk: GeneratedChunk) -> Entry | None:
        """The tokens of a chunk; None where there are none, or where they are not wanted."""
        ends = self._form.ends
        scores = [score for score in chunk.scores if score.token not in ends]
        return self.scores.of(scores) if self._form.is_scored and scores else None


@dataclass(slots=True)
class _Whole:
    answer: _Answer
    texts: list[str]
    entries: list[Entry] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    finish: str | None = None
    stopped_by: str | int | None = None


class WholeCompletions:
    """Puts the answers together."""

    def __init__(self, form: CompletionForm) -> None:
        self._form = form
        self._wholes = [_Whole(answer, [form.echoed[answer.prompt]]) for answer in form.answers()]
        self._prompt_scores: dict[int, Sequence[TokenScore]] = {}

    def take(self, number: int, piece: Piece) -> None:
        """Take more of the answers to a prompt."""
        if isinstance(piece, PromptScores):
            self._take_scores(number, piece.scores)
            return
        for chunk in piece:
            self._take(self._wholes[self._form.place(number, chunk)], chunk)

    def _take_scores(self, number: int, scores: Sequence[TokenScore]) -> None:
        self._prompt_scores[number] = scores
        if self._form.echoes and self._form.is_scored:
            start = number * self._form.choices
            for whole in self._wholes[start : start + self._form.choices]:
                whole.entries.append(whole.answer.scored_prompt(scores))

    def _take(self, whole: _Whole, chunk: GeneratedChunk) -> None:
        whole.texts.append(chunk.text)
        whole.tokens += chunk.tokens
        entry = whole.answer.scored(chunk)
        if entry is not None:
            whole.entries.append(entry)
        if chunk.finish is not None:
            whole.finish, whole.stopped_by = str(chunk.finish), chunk.stopped_by

    def response(self, usage: Usage) -> Response:
        """All answers."""
        choices = [self._object(number, whole) for number, whole in enumerate(self._wholes)]
        document = self._form.head.members() | {"choices": choices, "usage": usage_object(usage)}
        return json_response(document)

    def _object(self, number: int, whole: _Whole) -> dict[str, object]:
        form, prompt = self._form, whole.answer.prompt
        found: dict[str, object] = {
            "index": number,
            "text": "".join(whole.texts),
            "logprobs": joined(whole.entries) if form.is_scored else None,
            "finish_reason": whole.finish or "length",
            "stop_reason": whole.stopped_by,
        }
        if form.has_tokens:
            found["prompt_token_ids"] = list(form.prompts[prompt])
            found["token_ids"] = whole.tokens
        if form.has_prompt_scores:
            found["prompt_logprobs"] = prompt_entries(
                form.texts, form.prompts[prompt], self._prompt_scores.get(prompt, ())
            )
        return found


class StreamedCompletions(EventAnswer):
    """Writes the chunks of completions."""

    def __init__(self, form: CompletionForm) -> None:
        self._form = form
        self._frames = ChunkFrames(form.head, with_usage=form.with_usage)
        self._answers = form.answers()
        prompt_tokens = sum(map(len, form.prompts))
        self._running = RunningUsage(prompt_tokens) if form.usage_in_each else None
        self._is_plain = not (form.is_scored or form.has_tokens or form.usage_in_each)
        self._texts = [
            self._frames.around(
                b'{"index":%d,"text":' % number, b',"logprobs":null,"finish_reason":null}'
            )
            for number in range(len(self._answers))
        ]

    def opening(self) -> bytes:
        """The prompts, where they are wanted; their scores come when they are known."""
        if not self._form.echoes:
            return b""
        written = [
            self._chunk(number, {"text": self._form.echoed[answer.prompt]})
            for number, answer in enumerate(self._answers)
        ]
        return b"".join(written)

    def scored(self, number: int, scores: PromptScores) -> bytes:
        """The scores of a prompt, for each of its choices."""
        form = self._form
        if not (form.echoes and form.is_scored):
            return b""
        places = range(number * form.choices, (number + 1) * form.choices)
        return b"".join(
            self._chunk(
                place,
                {"text": "", "logprobs": self._answers[place].scored_prompt(scores.scores)},
            )
            for place in places
        )

    def chunks(self, number: int, chunks: Sequence[GeneratedChunk]) -> bytes:
        """Write what is new."""
        if self._running is not None:
            self._running.take(chunks)
        return b"".join([self._written(self._form.place(number, one), one) for one in chunks])

    def closing(self, usage: Usage) -> bytes:
        """The usage, where it is wanted, and the end."""
        return self._frames.usage(usage) + DONE if self._form.with_usage else DONE

    def _written(self, place: int, chunk: GeneratedChunk) -> bytes:
        if chunk.finish is None and self._is_plain:
            if not chunk.text:
                return b""
            before, after = self._texts[place]
            return before + _encode(chunk.text) + after
        more: dict[str, object] = {}
        entry = self._answers[place].scored(chunk)
        if entry is not None:
            more["logprobs"] = entry
        if self._form.has_tokens and chunk.tokens:
            more["token_ids"] = chunk.tokens
        if chunk.finish is not None:
            more |= {"finish_reason": str(chunk.finish), "stop_reason": chunk.stopped_by}
        return self._chunk(place, {"text": chunk.text, **more}) if chunk.text or more else b""

    def _chunk(self, place: int, more: Mapping[str, object]) -> bytes:
        members = {"index": place, "text": "", "logprobs": None, "finish_reason": None}
        usage = self._running.usage if self._running is not None else None
        return self._frames.choice({**members, **more}, usage)
