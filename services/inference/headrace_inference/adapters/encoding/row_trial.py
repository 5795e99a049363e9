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
_LENGTHS = (7, 29)


class Rows(enum.Enum):
    """How a text's vector depends on what runs beside it."""

    EXACT = "each vector is the same, bit for bit"
    WITHIN_BOUND = "vectors differ in their last bits"
    MIXED = "vectors change with the texts that share a run"


def try_rows(
    runner: TextRunner, pooling: Pooling, vocabulary: int, context_length: int, fixed_length: int
) -> Rows:
    """Run made-up texts alone and together. Raises RunFailed where a single one fails."""
    worst = 0.0
    for length in sorted({min(length, context_length) for length in _LENGTHS}):
        padded = fixed_length or padded_length(length, context_length)
        random = np.random.default_rng(length)
        texts = random.integers(0, max(2, vocabulary), (_TEXTS, length)).tolist()
        alone = np.concatenate([_run(runner, pooling, [text], padded) for text in texts])
        together = _run(runner, pooling, texts, padded)
        if alone.shape != together.shape:
            return Rows.MIXED
        largest = float(np.abs(alone).max()) or 1.0
        worst = max(worst, float(np.abs(alone - together).max()) / largest)
    if worst == 0.0:
        return Rows.EXACT
    return Rows.WITHIN_BOUND if worst <= BOUND else Rows.MIXED


def _run(
    runner: TextRunner, pooling: Pooling, texts: Sequence[Sequence[int]], length: int
) -> Vectors:
    request = EncodingRequest(texts)
    batch = batch_of([(request, place) for place in range(len(texts))], length, 0)
    return pooled(runner.run(batch, runner.new_handle()), batch.lengths, pooling)
