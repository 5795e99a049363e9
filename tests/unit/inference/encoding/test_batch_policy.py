"""What is padded to what, and which texts run together next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace_inference.domain.encoding.batch_policy import Choice, Head, Limits, next_batch
from headrace_inference.domain.encoding.buckets import padded_length


@pytest.mark.parametrize(
    ("tokens", "padded"),
    [(1, 4), (4, 4), (5, 8), (64, 64), (65, 68), (129, 136), (273, 288), (500, 512), (511, 512)],
)
def test_texts_are_padded_by_a_sixteenth_at_most(tokens: int, padded: int) -> None:
    """Short texts are padded to multiples of 4, longer ones in 16 steps a doubling."""
    assert padded_length(tokens, 512) == padded


def test_lengths_are_few_and_never_over_the_context() -> None:
    """A context of 512 tokens has 64 lengths; none is over the model's own."""
    assert len({padded_length(tokens, 512) for tokens in range(1, 513)}) == 64
    assert padded_length(509, 510) == 510


LIMITS = Limits(tokens=64, texts=8)
PADS = Limits(tokens=96, texts=32, padding=16)
A, B, C = Head(1, 0, 8, 2), Head(1, 1, 12, 3), Head(1, 2, 24, 1)
D, E, F = Head(1, 2, 4, 2), Head(1, 2, 4, 9), Head(1, 3, 12, 9)


@pytest.mark.parametrize(
    ("heads", "limits", "choice"),
    [
        pytest.param([], LIMITS, None, id="nothing waits"),
        pytest.param([Head(1, 0, 8, 3)], LIMITS, Choice(8, {8: 3}), id="all of one length"),
        pytest.param([Head(1, 0, 16, 9)], LIMITS, Choice(16, {16: 4}), id="the tokens are a bound"),
        pytest.param([Head(1, 0, 4, 99)], LIMITS, Choice(4, {4: 8}), id="the texts are a bound"),
        pytest.param(
            [Head(1, 0, 100, 2)], LIMITS, Choice(100, {100: 1}), id="a long one runs alone"
        ),
        pytest.param(
            [Head(1, 5, 8, 3), Head(1, 2, 16, 1)], LIMITS, Choice(16, {16: 1}), id="by turns"
        ),
        pytest.param(
            [Head(2, 0, 8, 3), Head(1, 9, 16, 1)], LIMITS, Choice(16, {16: 1}), id="by levels"
        ),
        pytest.param(
            [Head(1, 0, 8, 6)], Limits(64, 8, 2), Choice(8, {8: 3}), id="shared by instances"
        ),
        pytest.param(
            [Head(1, 0, 8, 5)], Limits(64, 1), Choice(8, {8: 1}), id="rows that are mixed"
        ),
        pytest.param([A, B], PADS, Choice(12, {8: 2, 12: 3}), id="a longer one joins"),
        pytest.param(
            [A, B], LIMITS, Choice(8, {8: 2}), id="none joins where padding changes vectors"
        ),
        pytest.param([A, C], PADS, Choice(8, {8: 2}), id="padding would cost more than a run"),
        pytest.param([B, D], PADS, Choice(12, {12: 3, 4: 2}), id="shorter ones join"),
        pytest.param(
            [B, E], PADS, Choice(12, {12: 3}), id="too many shorter ones run by themselves"
        ),
        pytest.param([A, F], PADS, Choice(8, {8: 2}), id="all of a length join or none"),
        pytest.param([A, B, D], PADS, Choice(12, {8: 2, 12: 3, 4: 2}), id="both"),
        pytest.param([A, B], replace(PADS, texts=1), Choice(8, {8: 1}), id="one at a time"),
    ],
)
def test_the_next_batch(heads: list[Head], limits: Limits, choice: Choice | None) -> None:
    """The text whose turn it is runs, with those of its length that there is room for."""
    assert next_batch(heads, limits) == choice
