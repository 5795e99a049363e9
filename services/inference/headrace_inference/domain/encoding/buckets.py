"""The lengths to which texts are padded: few, so that texts share runs, and none far over a text's own."""

from __future__ import annotations

LEAST_STEP = 4
STEPS_PER_DOUBLING = 16
"""So that padding adds a sixteenth at most to texts of more than 64 tokens."""


def padded_length(tokens: int, most: int) -> int:
    """Return to how many tokens a text of so many is padded, whoever shares its run.

    It depends on nothing else: the sums over a text's tokens are made in the same order every time.
    """
    doubling = 1 << (max(1, tokens - 1).bit_length() - 1)
    step = max(LEAST_STEP, doubling // STEPS_PER_DOUBLING)
    return min(-(-tokens // step) * step, most)
