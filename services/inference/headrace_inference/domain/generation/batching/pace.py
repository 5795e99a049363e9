"""Measures steps, and says how many tokens of prompts are read beside sequences that decode."""

from __future__ import annotations

MOST_TOKENS = 512
"""Of a prompt at a time: a caller that leaves is noticed after so many at the latest."""

LEAST_TOKENS = 8
"""Fewer cost nearly as much time: all weights are read for them."""

FIRST_TOKENS = 32
"""Until both times are known."""

STEPS_OF_READING = 1.5
"""Reading takes so many times as long as a step that decodes: gaps between tokens stay below thrice it."""

STEPS_FOR_EACH_MORE = 12.0
"""The same, for each prompt but one that is to be read, divided by the sequences that decode.

The few wait for a moment, and then all of them decode together: a step costs little more for eight.
"""

NEW_WEIGHT = 1 / 8


class PrefillPace:
    """The tokens of prompts that are read in a step; `fixed` ones, where that is not 0."""

    def __init__(self, fixed: int = 0) -> None:
        self._fixed = max(2, fixed) if fixed else 0
        self.token_ns = 0.0
        """The time that a token of a prompt takes."""
        self.step_ns = 0.0
        """The time that a step takes in which all sequences get a token."""

    def tokens(self, decoding: int, unread: int = 0) -> int:
        """Return how many tokens of prompts are read while so many decode and so many are to be read."""
        if self._fixed:
            return self._fixed
        if not decoding:
            return MOST_TOKENS
        if not self.token_ns or not self.step_ns:
            return FIRST_TOKENS
        steps = max(STEPS_OF_READING, STEPS_FOR_EACH_MORE * (unread - 1) / decoding)
        tokens = int(steps * self.step_ns / self.token_ns)
        return min(max(tokens, LEAST_TOKENS), MOST_TOKENS)

    def read(self, tokens: int, took_ns: int, *, beside_others: bool) -> None:
        """Learn from the reading of so many tokens.

        Where nothing decodes pieces are long, and a token of them takes less than of short ones.
        """
        if tokens >= LEAST_TOKENS and (beside_others or not self.token_ns):
            self.token_ns = _mixed(self.token_ns, took_ns / tokens)

    def decoded(self, took_ns: int) -> None:
        """Learn from a step."""
        self.step_ns = _mixed(self.step_ns, took_ns)


def _mixed(old: float, new: float) -> float:
    return new if not old else old + NEW_WEIGHT * (new - old)
