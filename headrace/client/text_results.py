"""Holds the answers of models of text: generated text, scores, vectors, ranks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # numpy is loaded by the first embedding
    import numpy as np
    import numpy.typing as npt

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of a call: of its prompt once, and of all answers together."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt, those that were not computed again."""

    @property
    def total_tokens(self) -> int:
        """Count all of them."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class TokenScore:
    """A token's natural log-probability by the model's own logits, with the most probable ones."""

    token_id: int
    logprob: float
    token: bytes = b""
    """What it stands for, which may be a part of a character."""
    top: tuple[tuple[int, float], ...] = ()
    """Tokens and their log-probabilities, the most probable first."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model asks for; `arguments` are a JSON object, as text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class GeneratedChoice:
    """One answer to a prompt."""

    text: str
    token_ids: tuple[int, ...] = ()
    finish_reason: FinishReason | None = None
    stopped_by: str | int | None = None
    """The stop string or token that ended it; None for the model's own end."""
    scores: tuple[TokenScore, ...] = ()
    """Of each token, where `logprobs` were asked for."""
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """All answers to a prompt. `text` and the like are those of the first one."""

    model: str
    version: int
    route: str
    """Why this version answered: stable, canary, pinned, ..."""
    choices: tuple[GeneratedChoice, ...]
    usage: Usage
    prompt_scores: tuple[TokenScore, ...] = ()
    """Of the prompt's tokens from the second on, where `prompt_logprobs` were asked for."""

    @property
    def text(self) -> str:
        """Return the first answer's text."""
        return self.choices[0].text

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Return the first answer's tokens."""
        return self.choices[0].token_ids

    @property
    def finish_reason(self) -> FinishReason | None:
        """Return why the first answer ended."""
        return self.choices[0].finish_reason

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Return what the first answer calls."""
        return self.choices[0].tool_calls


@dataclass(frozen=True, slots=True)
class GenerationPart:
    """A part of one answer. The last part of a stream has the usage, and nothing else that is new."""

    model: str
    version: int
    route: str
    choice: int = 0
    text: str = ""
    token_ids: tuple[int, ...] = ()
    finish_reason: FinishReason | None = None
    """Why the answer ends with this part."""
    stopped_by: str | int | None = None
    scores: tuple[TokenScore, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    prompt_scores: tuple[TokenScore, ...] = ()
    """In the first part, where `prompt_logprobs` were asked for."""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of continuations of a prompt: how probable a version finds them."""

    model: str
    version: int
    route: str
    results: tuple[tuple[TokenScore, ...], ...]
    """Of each continuation, its tokens' scores."""
    usage: Usage
    tokenizer_digest: str
    """Versions that have the same one have the same tokens."""
    vocabulary_size: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a text."""

    model: str
    version: int
    token_ids: tuple[int, ...]
    tokens: tuple[bytes, ...]
    """What each of them stands for."""
    context_length: int
    """The most tokens of a prompt and its answer."""
    tokenizer_digest: str


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """A vector for each text: a row of `vectors`, in the texts' order."""

    model: str
    version: int
    route: str
    vectors: npt.NDArray[np.float32]
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """A document's place: which one, and how well it answers the query, 0 to 1."""

    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Documents, the best first."""

    model: str
    version: int
    route: str
    results: tuple[RankedDocument, ...]
    usage: Usage = field(default_factory=Usage)
