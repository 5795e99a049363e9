"""How a sequence's next token is chosen."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import Internal
from headrace_inference.domain.generation.requests import SamplingOptions
from headrace_inference.domain.generation.tokens.sampling import Sampler
from tests.unit.inference.generation.tokens.plain_sampling import chances

_VOCABULARY = 40
_logit = st.integers(-12, 12).map(lambda number: number / 2)  # with many ties
_rows = st.lists(_logit, min_size=_VOCABULARY, max_size=_VOCABULARY)
_tokens = st.lists(st.integers(0, _VOCABULARY - 1), max_size=12)
# Odd fractions: a sum of weights never lies on the border, where rounding would decide.
_shares = st.sampled_from([0.1234567, 0.5432101, 0.8765432, 0.9598765, 1.0])
_options = st.builds(
    SamplingOptions,
    temperature=st.sampled_from([0.0, 0.31, 1.0, 1.7]),
    top_k=st.sampled_from([0, 1, 3, 17, 40, 99]),
    top_p=_shares,
    min_p=st.sampled_from([0.0, 0.0543211, 0.3123457]),
    typical_p=_shares,
    repetition_penalty=st.sampled_from([1.0, 1.3, 0.8]),
    presence_penalty=st.sampled_from([0.0, 0.7, -1.1]),
    frequency_penalty=st.sampled_from([0.0, 0.4]),
    logit_bias=st.dictionaries(st.integers(0, _VOCABULARY - 1), st.sampled_from([-100.0, 2.5])),
    seed=st.integers(-(2**63), 2**63 - 1),
)


def _row(values: list[float]) -> np.ndarray:
    return np.array(values, dtype=np.float32)


@settings(max_examples=100, deadline=None)
@given(_rows, _options, _tokens, _tokens, st.none() | st.sets(st.integers(0, _VOCABULARY - 1)))
def test_only_tokens_that_may_come_are_drawn_each_with_its_chance(
    values: list[float],
    options: SamplingOptions,
    prompt: list[int],
    generated: list[int],
    allowed: set[int] | None,
) -> None:
    """The tokens kept are those of the plain reference, and no probable one is left out."""
    banned = [] if allowed is None else [t for t in range(_VOCABULARY) if t not in allowed]
    expected = chances(values, options, prompt, generated, banned)
    mask = None if allowed is None else np.isin(np.arange(_VOCABULARY), list(allowed))
    seen: Counter[int | None] = Counter()
    for seed in range(40):
        sampler = Sampler(replace(options, seed=seed), prompt)
        for token in generated:
            sampler.accept(token)
        seen[sampler.choose(_row(values), mask)] += 1
    expected_tokens: set[int | None] = set(expected) or {None}
    assert expected_tokens >= set(seen)
    assert all(seen[token] for token, chance in expected.items() if chance > 0.5)


@pytest.mark.parametrize(
    "options",
    [
        SamplingOptions(),
        SamplingOptions(top_p=0.8),
        SamplingOptions(top_k=7, temperature=1.5),
        SamplingOptions(min_p=0.2),
        SamplingOptions(typical_p=0.7),
    ],
)
def test_draws_are_as_frequent_as_they_are_probable(options: SamplingOptions) -> None:
    """Over many positions each token comes as often as its probability says."""
    values = [float(number % 7) / 2 for number in range(1000)]
    expected = chances(values, options)
    sampler, seen, draws = Sampler(replace(options, seed=5), []), Counter[int | None](), 4000
    for _ in range(draws):
        token = sampler.choose(_row(values))
        seen[token] += 1
        sampler.accept(0 if token is None else token)
    by_value: defaultdict[float, float] = defaultdict(float)
    for token, chance in expected.items():
        by_value[values[token]] += chance
        assert 7 * (chance * draws) ** 0.5 + 3 > abs(seen[token] - chance * draws)
    for value, chance in by_value.items():
        count = sum(n for token, n in seen.items() if token is not None and values[token] == value)
        assert 5 * (draws * chance) ** 0.5 + 2 > abs(count - draws * chance)
    assert sum(seen.values()) == sum(seen[token] for token in expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 4), st.sampled_from([0.3, 0.9, 0.999]))
def test_a_nucleus_of_a_large_vocabulary_is_the_smallest_one(
    seed: int, spread: float, share: float
) -> None:
    """Its weight reaches the share, and without its smallest member it does not."""
    row = (np.random.default_rng(seed).standard_normal(9000) * spread).astype(np.float32)
    weights = np.exp(row.astype(np.float64) - row.max())
    weights /= weights.sum()
    options = SamplingOptions(top_p=share)
    drawn = {Sampler(replace(options, seed=number), []).choose(row) for number in range(50)}
    falling = np.sort(weights)[::-1]
    size = int(np.searchsorted(np.cumsum(falling), share)) + 1
    least = falling[min(size + 1, len(falling) - 1)]  # one place of tolerance for rounding
    assert all(token is not None and weights[token] >= least for token in drawn)


def test_a_draw_depends_on_seed_choice_and_position_alone() -> None:
    """Asked again, or by another sampler that got there another way, it is the same."""
    row = np.random.default_rng(1).standard_normal(500).astype(np.float32)
    options = SamplingOptions(seed=11)
    one, other = Sampler(options, [1, 2]), Sampler(options, [3])
    drawn = []
    for _ in range(20):
        drawn.append(one.choose(row))
        assert (drawn[-1], drawn[-1]) == (one.choose(row), other.choose(row))
        one.accept(4)
        other.accept(5)
    assert len(set(drawn)) > 10
    for position, second in enumerate(drawn[:3]):
        late = Sampler(options, [])
        for _ in range(position):
            late.accept(9)
        assert second == late.choose(row)


def test_choices_and_seeds_draw_differently() -> None:
    """The second choice of a seed is not the first of the next; without a seed none repeats."""
    row = np.zeros(10000, dtype=np.float32)
    samplers = [
        *(
            Sampler(SamplingOptions(seed=seed), [], choice=choice)
            for seed in (0, 1, -1)
            for choice in (0, 1)
        ),
        *(Sampler(SamplingOptions(), []) for _ in range(2)),
    ]
    drawn = [_first_tokens(sampler, row) for sampler in samplers]
    assert len(drawn) == len(set(drawn))


def _first_tokens(sampler: Sampler, row: np.ndarray) -> tuple[int | None, ...]:
    tokens = []
    for _ in range(4):
        tokens.append(sampler.choose(row))
        sampler.accept(0)
    return tuple(tokens)


def test_the_greedy_choice_is_the_lowest_of_equals() -> None:
    """Temperature 0 takes the largest logit; of equals the lowest id, whatever else is set."""
    row = _row([1.0, 3.0, 2.0, 3.0])
    options = SamplingOptions(temperature=0, top_k=2, top_p=0.1, min_p=0.9, typical_p=0.2)
    assert 1 == Sampler(options, []).choose(row)
    assert 3 == Sampler(options, []).choose(row, np.array([True, False, True, True]))
    assert Sampler(options, []).takes_largest


def test_tokens_that_end_wait_for_min_tokens() -> None:
    """Until then they are not chosen; the engine's shortcut waits as well."""
    sampler = Sampler(SamplingOptions(temperature=0), [], min_tokens=2, forbidden=[1])
    row = _row([0.0, 9.0, 5.0])
    chosen = []
    for _ in range(3):
        chosen.append((sampler.choose(row), sampler.takes_largest))
        sampler.accept(2)
    assert [(2, False), (2, False), (1, True)] == chosen


def test_nothing_allowed_is_no_token() -> None:
    """Neither an empty mask nor logits that rule out all that it allows give one."""
    row = _row([-np.inf, 1.0, 2.0])
    sampler = Sampler(SamplingOptions(), [])
    assert sampler.choose(row, np.array([False, False, False])) is None
    assert sampler.choose(row, np.array([True, False, False])) is None
    assert 1 == sampler.choose(row, np.array([True, True, False]))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_numbers_are_an_error(temperature: float, value: float) -> None:
    """A model whose weights overflow ends the request, with a reason."""
    with pytest.raises(Internal, match="not numbers") as raised:
        Sampler(SamplingOptions(temperature=temperature), []).choose(_row([0.0, value]))
    assert "LOGITS_NOT_NUMBERS" == raised.value.reason


@pytest.mark.parametrize("temperature", [1e-300, 1e-6, 2.0])
def test_extreme_temperatures_draw_without_warnings(temperature: float) -> None:
    """Nearly 0 is as 0; the row itself is never changed."""
    row = _row([-1e30, 4.0, 9.0, -np.inf])
    before = row.copy()
    options = SamplingOptions(
        temperature=temperature, seed=1, presence_penalty=1, logit_bias={0: 1.0}
    )
    assert Sampler(options, []).choose(row) in ((2,) if temperature < 1 else (1, 2))
    np.testing.assert_array_equal(before, row)


def test_rows_of_half_precision_are_taken() -> None:
    """They are widened."""
    row = np.array([1, 5, 3], dtype=np.float16)
    assert 1 == Sampler(SamplingOptions(top_k=1), []).choose(row)
