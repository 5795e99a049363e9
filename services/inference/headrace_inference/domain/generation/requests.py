"""Declares requests of generation, and the pieces in which they are answered."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headrace.errors import HeadraceError
from headrace_inference.domain.scheduling.requests import Asked


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Options of choosing tokens. All values are checked: whoever makes one refuses what is out of range.

    `temperature` 0 takes the most probable token. `seed` None draws differently each time.
    """

    temperature: float = 1.0
    top_k: int = 0
    """0: of all tokens."""
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class StopConditions:
    """When an answer ends. `max_tokens` is at least 1, or 0 where only the prompt is to be scored."""

    max_tokens: int
    min_tokens: int = 0
    strings: tuple[str, ...] = ()
    token_ids: frozenset[int] = frozenset()
    """Tokens that end it beside the model's own."""
    ignore_eos: bool = False
    include_stop_string: bool = False


class GrammarKind(enum.StrEnum):
    """The language that a grammar is written in."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    REGEX = "regex"
    LARK = "lark"
    CHOICE = "choice"
    """A JSON list of texts, of which the answer is one."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """A form that the whole answer must have."""

    kind: GrammarKind
    text: str = ""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A prompt, and how to go on from it, `choices` times. It was checked against the version."""

    prompt: Sequence[int]
    stop: StopConditions
    sampling: SamplingOptions = SamplingOptions()
    choices: int = 1
    grammar: Grammar | None = None
    logprobs: int | None = None
    """Score each token, and so many of the most probable beside it; None: no scores."""
    prompt_logprobs: int | None = None
    """The same of the prompt's own tokens, from `scored_from` on."""
    skip_special_tokens: bool = True
    priority: int = 0
    """The level of its queue; 0 is the version's default and 1 the highest."""
    timeout_us: int = 0
    """How long it may wait, where its queue lets requests say that; 0: as long as the queue says."""
    reuses_prefix: bool = True
    scored_from: int = 1
    """The first token of the prompt, from 0, that is scored; the very first one has nothing before it."""


class FinishReason(enum.StrEnum):
    """Why a choice ended."""

    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class TokenScore:
    """A token's natural log-probability by the model's own logits, with the most probable ones."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    """Tokens and their log-probabilities, the most probable first."""


@dataclass(frozen=True, slots=True)
class GeneratedChunk:
    """A piece of one choice: what is new. Text never ends within a character, nor within a stop string.

    `tokens` are those generated since the last chunk, also where their text is still held back.
    """

    choice: int
    text: str = ""
    tokens: tuple[int, ...] = ()
    scores: tuple[TokenScore, ...] = ()
    """Of each token, where they are wanted."""
    finish: FinishReason | None = None
    """Why the choice ends with this chunk; None: it goes on."""
    stopped_by: str | int | None = None
    """The stop string or the token that ended it; None where it was the model's own end."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of a call: of its prompt once, and of all choices together."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Tokens of the prompt that were not computed again."""


class GenerationSink(Protocol):
    """Takes what is generated to the caller. It is called on the engine's thread, and must not block.

    `prompt_scored` comes first where it was asked for, then any number of chunks of all choices, then
    `ended` or `failed`, once.
    """

    @property
    def is_full(self) -> bool:
        """Tell whether the caller reads too slowly: its sequences pause until that ends."""

    def prompt_scored(self, scores: Sequence[TokenScore]) -> None:
        """Take the scores of the prompt's tokens, from `scored_from` on."""

    def deliver(self, chunks: Sequence[GeneratedChunk]) -> None:
        """Take what is new of some choices."""

    def ended(self, usage: Usage) -> None:
        """Take the end: all choices have finished."""

    def failed(self, error: HeadraceError, usage: Usage) -> None:
        """Take the error that ended the call, after what was delivered."""


class GenerationCall:
    """A request on its way through an engine. Times are monotonic nanoseconds."""

    __slots__ = (
        "asked",
        "cancelled",
        "deadline_ns",
        "first_token_ns",
        "received_ns",
        "request",
        "route",
        "sink",
        "started_ns",
        "times_put_off",
    )

    def __init__(
        self,
        request: GenerationRequest,
        sink: GenerationSink,
        route: str,
        received_ns: int,
        deadline_ns: int | None = None,
        asked: Asked | None = None,
    ) -> None:
        self.asked = asked
        self.request = request
        self.sink = sink
        self.route = route
        self.received_ns = received_ns
        self.deadline_ns = deadline_ns
        self.cancelled = False
        """Set from any thread once the caller is gone; the engine frees its place at the next step."""
        self.started_ns = 0
        """When its prompt began to be read; 0 while it waits."""
        self.first_token_ns = 0
        self.times_put_off = 0
        """How often a sequence of it gave way to others and had to wait again."""
