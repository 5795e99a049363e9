"""How much of prompts is read beside sequences that decode."""

from __future__ import annotations

import pytest

from headrace_inference.domain.generation.batching.pace import MOST_TOKENS, PrefillPace


def _learned() -> PrefillPace:
    """A pace that saw a token of a prompt take 1 ms, and a step 20 ms."""
    pace = PrefillPace()
    pace.read(32, 32_000_000, beside_others=True)
    pace.decoded(20_000_000)
    return pace


@pytest.mark.parametrize(
    ("decoding", "unread", "expected"),
    [
        (0, 3, MOST_TOKENS),  # nobody waits for a token
        (1, 1, 30),  # one and a half steps
        (8, 1, 30),
        (16, 3, 30),  # few are to be read
        (8, 3, 60),
        (8, 9, 240),  # as many: those that decode wait longer
        (1, 31, MOST_TOKENS),  # hardly anybody waits
    ],
)
def test_more_is_read_where_more_wait_to_be_read(decoding: int, unread: int, expected: int) -> None:
    """A row each: how many decode, how many prompts are to be read, tokens a step."""
    assert expected == _learned().tokens(decoding, unread)


def test_a_fixed_number_is_kept_to() -> None:
    """Whoever set it knows what gaps he wants."""
    assert 64 == PrefillPace(64).tokens(1, 31)
