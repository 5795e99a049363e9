"""Finds out whether an encoder gives a text the same vector whatever texts run with it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headrace.state.language_records import Pooling
from headrace_inference.domain.encoding.buckets import padded_length
from headrace_inference.domain.encoding.pooling import pooled
from headrace_inference.domain.encoding.requests import EncodingRequest, Vectors
from headrace_inference.domain.encoding.text_runner import TextRunner, batch_of

BOUND = 2e-5
"""Of a vector's largest number: what sums in another order differ by. More shows that rows are mixed."""

_TEXTS = 5
_LENGTHS = (3, 7, 13, 29, 40)
_PADDING = (4, 12, 24)


class Rows(enum.Enum):
    """The dependence of a text's vector on what runs beside it."""

    EXACT = "each vector is the same, bit for bit, whatever runs with it and however it is padded"
    SAME_LENGTH = "each vector is the same, bit for bit, among texts that are padded alike"
    WITHIN_BOUND = "vectors differ in their last bits"
    MIXED = "vectors change with the texts that share a run"
    ONE = "the graph takes one text at a time"


@dataclass(frozen=True, slots=True)
class TrialTexts:
    """The parts that trial texts are made of."""

    vocabulary: int
    pad_token: int
    context_length: int
    fixed_length: int = 0
    """The only length that the graph takes; 0: any."""

    def lengths(self) -> list[int]:
        """Return the tokens of the texts."""
        return sorted({min(length, self.context_length) for length in _LENGTHS})

    def padded(self, length: int) -> int:
        """Return to how many tokens a text of so many is padded."""
        return self.fixed_length or padded_length(length, self.context_length)

    def longer(self, padded: int) -> list[int]:
        """Return further lengths that it could be padded to."""
        if self.fixed_length:
            return []
        return [min(padded + more, self.context_length) for more in _PADDING]

    def of(self, length: int) -> list[list[int]]:
        """Make texts of so many tokens, the same every time."""
        random = np.random.default_rng(length)
        made: list[list[int]] = random.integers(
            0, max(2, self.vocabulary), (_TEXTS, length)
        ).tolist()
        return made


def try_rows(runner: TextRunner, pooling: Pooling, texts: TrialTexts) -> Rows:
    """Run made-up texts alone, together, and padded. Raises RunFailed where a single one fails."""

    def run(rows: Sequence[Sequence[int]], length: int) -> Vectors:
        request = EncodingRequest(rows)
        places = [(request, place) for place in range(len(rows))]
        batch = batch_of(places, length, texts.pad_token)
        return pooled(runner.run(batch, runner.new_handle()), batch.lengths, pooling)

    together, padded = 0.0, 0.0
    for length in texts.lengths():
        rows, own = texts.of(length), texts.padded(length)
        alone = np.concatenate([run([row], own) for row in rows])
        together = max(together, _difference(alone, run(rows, own)))
        for longer in texts.longer(own):
            padded = max(padded, _difference(alone, run(rows, longer)))
    if max(together, padded) > BOUND:
        return Rows.MIXED
    if together:
        return Rows.WITHIN_BOUND
    return Rows.SAME_LENGTH if padded else Rows.EXACT


def _difference(alone: Vectors, together: Vectors) -> float:
    """Return by how much the most different number differs, as a part of the largest."""
    if alone.shape != together.shape:
        return float("inf")
    difference = float(np.abs(alone - together).max())
    return difference / (float(np.abs(alone).max()) or 1.0)
