"""Keeps what the engine knows of a call and of its choices, from their prompt to their end."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from headrace.errors import HeadraceError
from headrace_inference.domain.generation.batching.prefix_cache import Tokens
from headrace_inference.domain.generation.requests import (
    GeneratedChunk,
    GenerationCall,
    TokenScore,
    Usage,
)
from headrace_inference.domain.generation.tokens.choice_writer import ChoiceWriter
from headrace_inference.domain.scheduling.requests import Array

logger = logging.getLogger(__name__)

_keys = itertools.count()


class CallProgress:
    """A call: it is told its end once, whatever happens, and nothing after that."""

    def __init__(
        self,
        call: GenerationCall,
        level: int,
        arrived: int,
        ended: Callable[[CallProgress], None] = lambda _: None,
    ) -> None:
        self.call = call
        self._ended = ended
        self.level = level
        self.arrived = arrived
        self.left = call.request.choices
        """Choices that have not finished."""
        self.cached_tokens = 0
        self.completion_tokens = 0
        self.prompt_logits: Array | None = None
        """The logits after the prompt, for the choices that share it; None until it was read."""
        self.scores: list[TokenScore] = []
        self.has_ended = False

    @cached_property
    def prompt(self) -> Tokens:
        """The prompt's tokens."""
        return np.asarray(self.call.request.prompt, np.int64)

    @property
    def has_started(self) -> bool:
        """Tell whether its prompt began to be read."""
        return self.call.started_ns != 0

    @property
    def is_full(self) -> bool:
        """Tell whether its caller reads too slowly."""
        return self.call.sink.is_full

    @property
    def usage(self) -> Usage:
        """Count the tokens so far."""
        return Usage(len(self.prompt), self.completion_tokens, self.cached_tokens)

    def is_unwanted(self, now_ns: int) -> bool:
        """Tell whether nobody waits for it any more."""
        call = self.call
        return (
            self.has_ended
            or call.cancelled
            or (call.deadline_ns is not None and now_ns > call.deadline_ns)
        )

    def deliver(self, chunk: GeneratedChunk) -> None:
        """Tell what is new of a choice, and the end with that of the last."""
        if self.has_ended:
            return
        self.completion_tokens += len(chunk.tokens)
        self.call.sink.deliver((chunk,))
        if chunk.finish is not None:
            self.left -= 1
        if not self.left:
            self._end(lambda: self.call.sink.ended(self.usage))

    def fail(self, error: HeadraceError) -> None:
        """End with an error, unless it ended before."""
        if not self.has_ended:
            self._end(lambda: self.call.sink.failed(error, self.usage))

    def _end(self, tell: Callable[[], None]) -> None:
        self.has_ended = True
        self._ended(self)
        try:
            tell()
        except Exception:  # the way to its caller is broken: no other call has to do with that
            logger.exception("a call could not be told its end")


class SequenceState:
    """A choice of a call: its tokens, and how many of them its row has keys and values of."""

    __slots__ = (
        "choice",
        "has_read",
        "key",
        "length",
        "progress",
        "prompt_length",
        "row",
        "tokens",
        "writer",
    )

    def __init__(self, progress: CallProgress, choice: int, writer: ChoiceWriter) -> None:
        self.key = next(_keys)
        self.progress = progress
        self.choice = choice
        self.writer = writer
        self.tokens: list[int] = list(progress.call.request.prompt)
        self.prompt_length = len(self.tokens)
        self.length = 0
        self.row = -1
        """Its row; -1 while it waits."""
        self.has_read = False
        """Whether its prompt was read, before it was put off perhaps."""

    @property
    def wants_scores(self) -> bool:
        """Tell whether the tokens of its prompt are to be scored while they are read."""
        wanted = self.progress.call.request.prompt_logprobs is not None
        return wanted and self.choice == 0 and not self.has_read

    @property
    def may_enter(self) -> bool:
        """Tell whether it may have a row: nobody has given it up, and no other choice reads its prompt."""
        progress = self.progress
        return not progress.has_ended and (self.choice == 0 or progress.prompt_logits is not None)

    @property
    def read_prompt(self) -> Tokens:
        """The tokens of the prompt whose keys and values its row has."""
        return self.progress.prompt[: self.length]


def calls_of(sequences: Sequence[SequenceState]) -> list[GenerationCall]:
    """Return the calls of some sequences."""
    return [one.progress.call for one in sequences]
