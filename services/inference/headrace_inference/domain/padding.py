"""Batches filled up to a size that is allowed, for graphs and devices that know only some sizes well."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np

from headrace_inference.domain.requests import Array
from headrace_inference.domain.run_watch import RunHandle
from headrace_inference.domain.runner import RunFailed

Run = Callable[[Sequence[Array], RunHandle | None], list[Array]]


def padded_run(run: Run, allowed: Sequence[int], required: int) -> Run:
    """`run`, with batches filled up to the next allowed size and results cut to the rows asked for.

    Only the first `required` inputs have rows: those behind them are optional, and no batch of anything.
    """

    def padded(inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        rows = len(inputs[0])
        size = allowed_size(rows, allowed)
        if size == rows:
            return run(inputs, handle)
        filled = [_filled(array, size) for array in inputs[:required]]
        outputs = run([*filled, *inputs[required:]], handle)
        return [_cut(output, rows, size) for output in outputs]

    return padded


def allowed_size(rows: int, allowed: Sequence[int]) -> int:
    """The smallest allowed size that so many rows fit into; no rows need no filling."""
    return allowed[bisect_left(allowed, rows)] if rows else 0


def _filled(array: Array, size: int) -> Array:
    """The array with its last row repeated: values that the model can take, for they were sent."""
    return np.concatenate([array, np.repeat(array[-1:], size - len(array), axis=0)])


def _cut(output: Array, rows: int, size: int) -> Array:
    if output.ndim == 0 or len(output) != size:
        raise RunFailed(
            f"an output has shape {list(output.shape)} for {size} rows: it does not follow the batch "
            "dimension, so that allowed_batch_sizes cannot be used"
        )
    return output[:rows]
