"""Batches filled up to a size that is allowed, for graphs and devices that know only some sizes well.

What is filled in is the last row, again and again, so a graph that keeps rows apart answers it every time
as it answered the last one. That is looked at before anything is cut: outputs of the right length prove
nothing, where a detector finds as much more in some rows as it finds less in others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np

from headrace.state.records import Signature
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.row_guard import RowsDiffer, check_rows
from headrace_inference.domain.scheduling.watchdog import RunHandle

Run = Callable[[Sequence[Array], RunHandle | None], list[Array]]

TOLERANCE, COARSE_TOLERANCE = 1e-3, 2e-2
"""Of the largest value, for floats of four bytes and more, and of two: kernels round a row by where it
stands, and somebody else's rows differ by more."""


def run_padded(
    run: Run,
    inputs: Sequence[Array],
    handle: RunHandle | None,
    allowed: Sequence[int],
    signature: Signature,
) -> list[Array]:
    """`run`, filled up to the next allowed size and cut to the rows asked for.

    Raises RowsDiffer where the outputs do not show that what is cut off belongs to what was filled in.
    """
    rows = len(inputs[0])
    size = allowed_size(rows, allowed)
    if size == rows:
        return run(inputs, handle)
    required = len(
        signature.inputs
    )  # behind them are optional ones, which are no batch of anything
    filled = [_filled(array, size) for array in inputs[:required]]
    results = run([*filled, *inputs[required:]], handle)
    check_rows(signature.outputs, results, size)
    for spec, result in zip(signature.outputs, results, strict=True):
        if not _repeats(result[rows - 1 :]):
            raise RowsDiffer(
                f"output '{spec.name}' differs in rows that were filled in and are the same in all inputs"
            )
    return [result[:rows] for result in results]


def allowed_size(rows: int, allowed: Sequence[int]) -> int:
    """The smallest allowed size that so many rows fit into; no rows, or more than any, are not filled."""
    place = bisect_left(allowed, rows)
    return allowed[place] if 0 < rows and place < len(allowed) else rows


def _filled(array: Array, size: int) -> Array:
    """The array with its last row repeated: values that the model can take, for they were sent."""
    return np.concatenate([array, np.repeat(array[-1:], size - len(array), axis=0)])


def _repeats(rows: Array) -> bool:
    """Return whether all rows are the first one, but for rounding."""
    first = rows[:1]
    if np.array_equal(rows, np.broadcast_to(first, rows.shape)):
        return True
    if rows.dtype.kind not in "fV":  # V is how numpy knows bfloat16
        return False
    tolerance = TOLERANCE if rows.dtype.itemsize > 2 else COARSE_TOLERANCE  # FP16, BF16
    wide = rows.astype(np.float64)
    atol = tolerance * float(np.abs(wide[np.isfinite(wide)]).max(initial=0.0))
    return np.allclose(wide, wide[:1], rtol=tolerance, atol=atol, equal_nan=True)
