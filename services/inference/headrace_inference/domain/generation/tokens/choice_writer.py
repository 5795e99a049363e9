"""Makes the answer of one choice: its next token from logits, its text, its scores, its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headrace.errors import InvalidArgument
from headrace_inference.domain.generation.grammars import Grammars, GrammarState
from headrace_inference.domain.generation.requests import (
    FinishReason,
    GeneratedChunk,
    GenerationRequest,
    TokenScore,
)
from headrace_inference.domain.generation.tokens.logprobs import token_score
from headrace_inference.domain.generation.tokens.sampling import Sampler
from headrace_inference.domain.generation.tokens.text_stream import TextStream
from headrace_inference.domain.scheduling.requests import Array


@dataclass(frozen=True, slots=True)
class WriterTools:
    """The tools of a version for the answers of its calls."""

    end_tokens: frozenset[int]
    open_text: Callable[[GenerationRequest], TextStream]
    grammars: Grammars | None = None
    """None where answers cannot be held to any."""


class ChoiceWriter:
    """Writes one choice, token by token."""

    def __init__(
        self, request: GenerationRequest, choice: int, tools: WriterTools, context_length: int
    ) -> None:
        stop = request.stop
        self._choice = choice
        self._stop = stop
        self._logprobs = request.logprobs
        self._ends = frozenset() if stop.ignore_eos else tools.end_tokens
        forbidden = tools.end_tokens | stop.token_ids
        self._sampler = Sampler(
            request.sampling,
            request.prompt,
            choice=choice,
            min_tokens=stop.min_tokens,
            forbidden=forbidden,
        )
        self._text = tools.open_text(request)
        self._grammar = _begun(request, tools)
        self._most = min(stop.max_tokens, context_length - len(request.prompt))
        self._count = 0

    @property
    def has_room(self) -> bool:
        """Tell whether it may have any token."""
        return self._most > 0

    @property
    def takes_largest(self) -> bool:
        """Tell whether the largest logit is the next choice."""
        return self._grammar is None and self._sampler.takes_largest

    @property
    def grammar(self) -> GrammarState | None:
        """Return where it stands in its grammar; None: it has none."""
        return self._grammar

    def write(self, row: Array, largest: int | None = None) -> tuple[int, GeneratedChunk]:
        """Choose the next token, the `largest` where that is known; what is new with it."""
        token = self._next_token(row, largest)
        if token is None:
            return -1, self._end(FinishReason.STOP, (), ())
        self._count += 1
        self._sampler.accept(token)
        scores: tuple[TokenScore, ...] = ()
        if self._logprobs is not None:
            scores = (token_score(row, token, self._logprobs),)
        return token, self._chunk(token, scores)

    def end_at_once(self) -> GeneratedChunk:
        """Return the end of an answer that has no tokens."""
        return self._end(FinishReason.LENGTH, (), ())

    def _next_token(self, row: Array, largest: int | None) -> int | None:
        if largest is not None and self.takes_largest:
            return largest
        allowed = None if self._grammar is None else self._grammar.allowed()
        return self._sampler.choose(row, allowed)

    def _chunk(self, token: int, scores: tuple[TokenScore, ...]) -> GeneratedChunk:
        if token in self._ends:
            return self._end(FinishReason.STOP, (token,), scores)
        if token in self._stop.token_ids:
            return self._end(FinishReason.STOP, (token,), scores, stopped_by=token)
        piece = self._text.push(token)
        if piece.stopped_by is not None:
            return GeneratedChunk(
                self._choice, piece.text, (token,), scores, FinishReason.STOP, piece.stopped_by
            )
        if self._grammar is not None:
            self._grammar.accept(token)
            if self._grammar.is_over:
                return self._end(FinishReason.STOP, (token,), scores, piece.text)
        if self._count >= self._most:
            return self._end(FinishReason.LENGTH, (token,), scores, piece.text)
        return GeneratedChunk(self._choice, piece.text, (token,), scores)

    def _end(
        self,
        reason: FinishReason,
        tokens: tuple[int, ...],
        scores: tuple[TokenScore, ...],
        text: str = "",
        stopped_by: int | None = None,
    ) -> GeneratedChunk:
        text += self._text.finish()
        return GeneratedChunk(self._choice, text, tokens, scores, reason, stopped_by)


def _begun(request: GenerationRequest, tools: WriterTools) -> GrammarState | None:
    if request.grammar is None:
        return None
    if tools.grammars is None:
        raise InvalidArgument(
            "GRAMMAR_INVALID",
            "answers of this version cannot be held to a grammar: its replica has no headrace[language]",
        )
    return tools.grammars.begin(request.grammar)
