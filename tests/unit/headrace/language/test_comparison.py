"""Two versions compared by their scores: against arithmetic that is written out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.language.comparison import Answers, compare, divergence, first_difference

Weights = Sequence[float]


@dataclass(frozen=True)
class Score:
    """A token's score, as clients have it."""

    token_id: int
    logprob: float
    top: Sequence[tuple[int, float]] = ()


def scored(weights: Weights, token: int, most: int) -> Score:
    """A token's score where the distribution has these weights, with the `most` probable beside it."""
    logs = [math.log(weight / sum(weights)) for weight in weights]
    ranked = sorted(enumerate(logs), key=lambda pair: -pair[1])
    return Score(token, logs[token], ranked[:most])


def kl(first: Weights, second: Weights) -> float:
    """The divergence, written out."""
    mine, yours = [[weight / sum(each) for weight in each] for each in (first, second)]
    return sum(p * math.log(p / q) for p, q in zip(mine, yours, strict=True))


weights = st.lists(st.floats(0.01, 100), min_size=6, max_size=6)


@given(first=weights, second=weights)
def test_whole_distributions_give_the_divergence(first: Weights, second: Weights) -> None:
    """Where all tokens are scored by both, it is exact."""
    found = divergence(scored(first, 0, 6), scored(second, 0, 6), 6)

    assert found.is_exact
    assert found.nats == pytest.approx(kl(first, second), abs=1e-9)


@given(first=weights, second=weights, token=st.integers(0, 5), most=st.integers(0, 5))
def test_parts_of_distributions_give_a_lower_bound(
    first: Weights, second: Weights, token: int, most: int
) -> None:
    """Whatever is left out, more is never claimed."""
    found = divergence(scored(first, token, most), scored(second, token, most), 6)

    assert 0 <= found.nats <= kl(first, second) + 1e-9


def test_a_version_compared_with_itself_does_not_differ() -> None:
    """Everything that measures a difference is nothing."""
    of_both = [scored([1, 2, 3], 2, 3), scored([5, 1, 1], 0, 3)]
    found = compare([Answers("ab", "ab", (2, 0), (2, 0), of_both, of_both)], 3)

    assert (found.perplexity_ratio, found.kl_mean, found.kl_max) == (1.0, 0.0, 0.0)
    assert (found.equal_share, found.first_difference_median, found.agreement) == (1.0, None, 1.0)
    assert found.kl_is_exact


def test_all_answers_are_put_together() -> None:
    """Means are over tokens, shares over prompts."""
    half, quarter = scored([1, 1], 0, 2), scored([1, 3], 0, 2)
    answers = [
        Answers("{}", "{", (0, 0), (0, 1, 1), [half, half], [half, quarter], True, False),
        Answers("[]", "[]", (1,), (1,), [half], [half], True, True),
    ]
    found = compare(answers, 2)

    assert (found.prompts, found.tokens) == (2, 3)
    assert found.first_logprob == pytest.approx(math.log(0.5))
    assert found.perplexity_ratio == pytest.approx(2 ** (1 / 3))
    assert found.kl_mean == pytest.approx(kl([1, 1], [1, 3]) / 3)
    assert found.agreement == pytest.approx(2 / 3)
    assert (found.equal_share, found.first_difference_median) == (0.5, 1)
    assert (found.first_length_mean, found.second_length_mean) == (1.5, 2.0)
    assert (found.first_valid_share, found.second_valid_share) == (1.0, 0.5)


def test_other_tokens_are_compared_by_the_character() -> None:
    """Versions that cut texts into other tokens are held to the same text."""
    mine = [Score(0, -1.0), Score(1, -1.0), Score(2, -2.0)]
    found = compare([Answers("abcd", "abcd", (0,), (0,), mine, [Score(9, -6.0)])], 3, by_text=True)

    assert (found.first_logprob, found.second_logprob) == (-1.0, -1.5)
    assert (found.kl_mean, found.agreement, found.kl_is_exact) == (None, None, False)


@pytest.mark.parametrize(
    ("first", "second", "place"),
    [
        ((1, 2), (1, 2), None),
        ((1, 2), (1, 3), 1),
        ((1,), (1, 2), 1),
        ((), (), None),
        ((1,), (2,), 0),
    ],
)
def test_the_first_difference(first: tuple[int, ...], second: tuple[int, ...], place: int) -> None:
    """An answer that goes on differs where the other one ends."""
    assert first_difference(Answers("", "", first, second, (), ())) == place
