"""Compares two versions of a language model by the answers of the first: pure arithmetic over scores.

Both versions are shown the same prompts and the answers that the first one gives to them, and say how
probable each token of those was. No third model judges.

The divergence at a token is KL(P || Q) in nats, of the next token's distributions P (of the first version)
and Q. Where the scores hold all tokens of both it is exact. Else the tokens that both list are kept apart
and all others are taken together, of P and of Q: the divergence of what that leaves is never more than the
true one, so it is a lower bound.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

_LEAST = 1e-12
"""A probability that rounding made 0 or less."""


class Scored(Protocol):
    """A token's log-probability, and the most probable ones in its place."""

    @property
    def token_id(self) -> int:
        """Return the token."""

    @property
    def logprob(self) -> float:
        """Return its natural log-probability."""

    @property
    def top(self) -> Sequence[tuple[int, float]]:
        """Return tokens and their log-probabilities, the most probable first."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of both versions to one prompt, and how both scored what the first said."""

    first: str
    second: str
    first_tokens: Sequence[int]
    second_tokens: Sequence[int]
    of_first: Sequence[Scored]
    """The first answer's tokens, as the first version scores them."""
    of_second: Sequence[Scored]
    """The same text, as the second does: token by token where both have the same tokens."""
    first_valid: bool | None = None
    """Whether the first answer fits the schema; None where there is none."""
    second_valid: bool | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A summary of all answers."""

    prompts: int
    tokens: int
    """Of the first version's answers, by its own tokenizer."""
    first_logprob: float
    """The mean over these tokens; over the characters where versions were compared by text."""
    second_logprob: float
    perplexity_ratio: float
    """The second version's perplexity on these answers, over the first one's own: 1 where they agree."""
    kl_mean: float | None
    """The mean over tokens, in nats; None where versions were compared by text."""
    kl_max: float | None
    kl_is_exact: bool
    """False: the numbers are lower bounds."""
    agreement: float | None
    """The share of tokens that the second version finds the most probable, too."""
    equal_share: float
    """The share of prompts that both versions answer with the same tokens."""
    first_difference_median: float | None
    """Where answers that differ do so first, in tokens from 0; None where all are equal."""
    first_length_mean: float
    second_length_mean: float
    """Of both versions' own answers, in their tokens."""
    first_valid_share: float | None
    second_valid_share: float | None
    """Of both versions' own answers, how many fit the schema."""


def compare(answers: Sequence[Answers], vocabulary: int, *, by_text: bool = False) -> Comparison:
    """Put the answers to all prompts together; there is at least one, with a token.

    Compared `by_text`, versions may have different tokens: log-probabilities are then by character.
    """
    units = sum(len(each.first) if by_text else len(each.of_first) for each in answers)
    first = sum(score.logprob for each in answers for score in each.of_first) / max(1, units)
    second = sum(score.logprob for each in answers for score in each.of_second) / max(1, units)
    pairs = [
        pair for each in answers for pair in zip(each.of_first, each.of_second, strict=not by_text)
    ]
    found = [] if by_text else [divergence(mine, yours, vocabulary) for mine, yours in pairs]
    places = [place for each in answers if (place := first_difference(each)) is not None]
    return Comparison(
        prompts=len(answers),
        tokens=sum(len(each.of_first) for each in answers),
        first_logprob=first,
        second_logprob=second,
        perplexity_ratio=math.exp(min(700.0, first - second)),
        kl_mean=_mean([one.nats for one in found]),
        kl_max=max((one.nats for one in found), default=None),
        kl_is_exact=bool(found) and all(one.is_exact for one in found),
        agreement=None if by_text else _share([_is_first(yours) for _, yours in pairs]),
        equal_share=1 - len(places) / len(answers),
        first_difference_median=statistics.median(places) if places else None,
        first_length_mean=statistics.fmean(len(each.first_tokens) for each in answers),
        second_length_mean=statistics.fmean(len(each.second_tokens) for each in answers),
        first_valid_share=_share(each.first_valid for each in answers),
        second_valid_share=_share(each.second_valid for each in answers),
    )


def first_difference(answers: Answers) -> int | None:
    """Return the first token, from 0, that differs between the answers; None where they are equal."""
    pairs = zip(answers.first_tokens, answers.second_tokens, strict=False)
    place = next((place for place, (mine, yours) in enumerate(pairs) if mine != yours), None)
    if place is None and len(answers.first_tokens) != len(answers.second_tokens):
        return min(len(answers.first_tokens), len(answers.second_tokens))
    return place


@dataclass(frozen=True, slots=True)
class Divergence:
    """The distance of two distributions."""

    nats: float
    is_exact: bool


def divergence(first: Scored, second: Scored, vocabulary: int) -> Divergence:
    """KL(P || Q) of what two versions say at one place, or a lower bound of it."""
    mine, yours = _known(first), _known(second)
    both = mine.keys() & yours.keys()
    nats = sum(math.exp(mine[token]) * (mine[token] - yours[token]) for token in both)
    is_exact = len(both) >= vocabulary
    if not is_exact:
        rest, other = (
            max(_LEAST, 1 - sum(math.exp(known[token]) for token in both))
            for known in (mine, yours)
        )
        nats += rest * math.log(rest / other)
    return Divergence(max(0.0, nats), is_exact)


def _known(score: Scored) -> Mapping[int, float]:
    return {**dict(score.top), score.token_id: score.logprob}


def _is_first(score: Scored) -> bool | None:
    return score.top[0][0] == score.token_id if score.top else None


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _share(values: Iterable[bool | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
