"""Finds out whether an encoder gives a text the same vector whatever texts run with it."""

from __future__ import annotations

import enum
from collections.abc import Sequence

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
    """How a text's vector depends on what runs beside it."""

    EXACT = "each vector is the same, bit for bit, whatever runs with it and however it is padded"
    SAME_LENGTH = "each vector is the same, bit for bit, among texts that are padded alike"
    WITHIN_BOUND = "vectors differ in their last bits"
    MIXED = "vectors change with the texts that share a run"
    ONE = "the graph takes one text at a time"


def try_rows(
    runner: TextRunner, pooling: Pooling, vocabulary: int, context_length: int, fixed_length: int
) -> Rows:
    """Run made-up texts alone, together, and padded. Raises RunFailed where a single one fails."""
    together, padded = 0.0, 0.0
    for length in sorted({min(length, context_length) for length in _LENGTHS}):
        own = fixed_length or padded_length(length, context_length)
        random = np.random.default_rng(length)
        texts = random.integers(0, max(2, vocabulary), (_TEXTS, length)).tolist()
        alone = np.concatenate([_run(runner, pooling, [text], own) for text in texts])
        together = max(together, _difference(alone, _run(runner, pooling, texts, own)))
        for more in () if fixed_length else _PADDING:
            longer = min(own + more, context_length)
            padded = max(padded, _difference(alone, _run(runner, pooling, texts, longer)))
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


def _run(
    runner: TextRunner, pooling: Pooling, texts: Sequence[Sequence[int]], length: int
) -> Vectors:
    request = EncodingRequest(texts)
    batch = batch_of([(request, place) for place in range(len(texts))], length, 0)
    return pooled(runner.run(batch, runner.new_handle()), batch.lengths, pooling)
