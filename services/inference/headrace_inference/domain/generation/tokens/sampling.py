"""Chooses the tokens of one sequence, by its own options and its own random numbers."""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from headrace.errors import Internal
from headrace_inference.domain.generation.requests import SamplingOptions
from headrace_inference.domain.generation.tokens import candidates

Logits = npt.NDArray[np.floating]
Allowed = npt.NDArray[np.bool_]

LOGITS_NOT_NUMBERS = "LOGITS_NOT_NUMBERS"

_LOWEST_TEMPERATURE = 1e-5
"""Below it a thousandth between two logits already decides, and logits divided by it are no numbers."""
_BITS = (1 << 64) - 1


class Sampler:
    """Chooses a sequence's next token from its row of logits.

    A draw depends on the seed, the choice's number and how many tokens came before: neither on who else
    is in the batch, nor on whether a position is computed twice. `forbidden` tokens (those that would end
    the answer) are not chosen before `min_tokens` were.
    """

    __slots__ = ("_bias", "_counts", "_forbidden", "_key", "_min_tokens", "_options", "_taken")

    def __init__(
        self,
        options: SamplingOptions,
        prompt: Sequence[int],
        *,
        choice: int = 0,
        min_tokens: int = 0,
        forbidden: Collection[int] = (),
    ) -> None:
        self._options = options
        self._key = _key_of(options.seed, choice)
        self._taken = 0
        self._min_tokens = min_tokens
        self._forbidden = np.array(sorted(forbidden), dtype=np.intp)
        self._bias = _Bias(options) if options.logit_bias else None
        self._counts = _Penalties(options, prompt) if _penalizes(options) else None

    @property
    def takes_largest(self) -> bool:
        """Tell whether the largest of the model's own logits is the next choice, without asking for it."""
        return (
            self._options.temperature == 0
            and self._bias is None
            and self._counts is None
            and not self._forbids
        )

    @property
    def _forbids(self) -> bool:
        return self._taken < self._min_tokens and len(self._forbidden) > 0

    def choose(self, row: Logits, allowed: Allowed | None = None) -> int | None:
        """Return the next token, or None where none is allowed. The row is not changed.

        Raises Internal (LOGITS_NOT_NUMBERS).
        """
        values = self._adjusted(row)
        tokens = None
        if allowed is not None:
            tokens = np.flatnonzero(allowed[: len(values)])
            values = values[tokens]
        place = self._chosen(values)
        return place if place is None or tokens is None else int(tokens[place])

    def accept(self, token: int) -> None:
        """Take a token as the sequence's next one."""
        self._taken += 1
        if self._counts is not None:
            self._counts.add(token)

    def _adjusted(self, row: Logits) -> candidates.Values:
        """The row after what is done to single tokens: bias, tokens that may not come yet, penalties."""
        values = row.astype(np.float32, copy=False)
        if self._bias is None and self._counts is None and not self._forbids:
            return values
        values = values.copy() if values is row else values
        if self._bias is not None:
            self._bias.apply(values)
        if self._forbids:
            values[self._forbidden] = -np.inf
        if self._counts is not None:
            self._counts.apply(values)
        return values

    def _chosen(self, values: candidates.Values) -> int | None:
        if not len(values):
            return None
        best = int(values.argmax())
        peak = float(values[best])
        if peak == -math.inf:
            return None
        if not math.isfinite(peak):
            raise Internal(
                LOGITS_NOT_NUMBERS,
                "the model's logits are not numbers (NaN or infinite): its weights overflow; "
                "ask another version, or export the model with a wider type",
            )
        return best if self._options.temperature == 0 else self._drawn(values, peak)

    def _drawn(self, values: candidates.Values, peak: float) -> int:
        options = self._options
        places = None
        if 0 < options.top_k < len(values):
            places = candidates.top_k(values, options.top_k)
            values = values[places]
        weights = np.exp((values - peak) / max(options.temperature, _LOWEST_TEMPERATURE))
        if options.top_p < 1:
            weights = candidates.top_p(weights, options.top_p)
        if options.min_p > 0:
            weights = candidates.min_p(weights, options.min_p)
        if options.typical_p < 1:
            weights = candidates.typical_p(weights, options.typical_p)
        place = candidates.draw(weights, _uniform(self._key, self._taken))
        return place if places is None else int(places[place])


class _Bias:
    """The amounts that a request adds to the logits of single tokens."""

    __slots__ = ("_added", "_tokens")

    def __init__(self, options: SamplingOptions) -> None:
        self._tokens = np.array(list(options.logit_bias), dtype=np.intp)
        self._added = np.array(list(options.logit_bias.values()), dtype=np.float32)

    def apply(self, values: candidates.Values) -> None:
        values[self._tokens] += self._added


class _Penalties:
    """Makes tokens less probable that were there before.

    `repetition_penalty` counts the prompt, too; the others only what was generated, as clients expect.
    """

    __slots__ = ("_generated", "_options", "_places", "_tokens")

    def __init__(self, options: SamplingOptions, prompt: Sequence[int]) -> None:
        seen = sorted(set(prompt)) if options.repetition_penalty != 1 else []
        self._options = options
        self._places = {token: place for place, token in enumerate(seen)}
        self._tokens = np.array(seen + [0] * 64, dtype=np.intp)
        self._generated = np.zeros(len(self._tokens), dtype=np.float32)

    def add(self, token: int) -> None:
        place = self._places.setdefault(token, len(self._places))
        if place == len(self._tokens):
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)])
            self._generated = np.concatenate([self._generated, np.zeros_like(self._generated)])
        self._tokens[place] = token
        self._generated[place] += 1

    def apply(self, values: candidates.Values) -> None:
        options = self._options
        tokens = self._tokens[: len(self._places)]
        counts = self._generated[: len(self._places)]
        logits = values[tokens]
        if options.repetition_penalty != 1:
            factor = np.float32(options.repetition_penalty)
            logits = np.where(logits > 0, logits / factor, logits * factor)
        logits -= np.float32(options.frequency_penalty) * counts
        logits -= np.float32(options.presence_penalty) * (counts > 0)
        values[tokens] = logits


def _penalizes(options: SamplingOptions) -> bool:
    return (
        options.repetition_penalty != 1
        or options.presence_penalty != 0
        or options.frequency_penalty != 0
    )


def _key_of(seed: int | None, choice: int) -> int:
    """The 64 bits that one choice's draws are made of."""
    start = secrets.randbits(64) if seed is None else seed & _BITS
    return _mixed(_mixed(start) + choice)


def _uniform(key: int, position: int) -> float:
    """The number in [0, 1) of a position: SplitMix64, which reaches any position in one step."""
    return (_mixed(key + 0x9E3779B97F4A7C15 * (position + 1)) >> 11) * 2.0**-53


def _mixed(number: int) -> int:
    number &= _BITS
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _BITS
    return number ^ (number >> 31)
