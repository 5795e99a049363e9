"""Bins by the bits of a float: its sign, its exponent, and the first three bits behind it.

There are 8 bins an octave, so a bin's edges are 9 to 13 % apart, and there is nothing to learn: profiles in
these bins add up whoever made them. Magnitudes from 2^-16 to 2^32 are told apart (0.000015 to 4.3 billion);
smaller ones but zero are in the innermost bin of their sign, larger ones in the outermost.

In order: bin 0 missing, 1 infinite, 2 to 385 negative numbers from the least on, 386 zero, 387 to 770
positive ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

STEPS = 8
"""Bins an octave: three bits."""

LOWEST_EXPONENT, HIGHEST_EXPONENT = -16, 32

HALF = (HIGHEST_EXPONENT - LOWEST_EXPONENT) * STEPS
MISSING, INFINITE, FIRST = 0, 1, 2
ZERO = FIRST + HALF
BIN_COUNT = ZERO + HALF + 1

Places = npt.NDArray[np.int64]


def float_bit_places(values: npt.NDArray[Any]) -> Places:
    """The bin of each number, whatever the array's shape; float32 and float64 are not rounded for it."""
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(_wide(values.dtype))
    values = np.ascontiguousarray(values)
    if values.dtype == np.float32:
        steps = ((values.view(np.uint32) & 0x7FFFFFFF) >> 20).astype(np.int64)
        steps -= (127 + LOWEST_EXPONENT) * STEPS
    else:
        steps = (values.view(np.uint64) << np.uint64(1) >> np.uint64(50)).astype(np.int64)
        steps -= (1023 + LOWEST_EXPONENT) * STEPS
    steps.clip(0, HALF - 1, out=steps)
    places = np.where(values < 0, ZERO - 1 - steps, ZERO + 1 + steps)
    places[values == 0] = ZERO
    odd = ~np.isfinite(values)
    if odd.any():
        places[odd] = np.where(np.isnan(values[odd]), MISSING, INFINITE)
    return places


def _wide(dtype: np.dtype[Any]) -> type[np.float32 | np.float64]:
    """The float that holds numbers of a type: small ones and truth values fit into 32 bits."""
    return np.float32 if dtype.itemsize < 4 else np.float64


def upper_edges() -> npt.NDArray[np.float64]:
    """The largest double of each bin from FIRST on, ascending: each begins above the one before.

    The outermost bins hold all that is beyond, so their edges are the largest doubles there are.
    """
    steps = np.arange(1, HALF + 1)
    powers = np.exp2(LOWEST_EXPONENT + steps // STEPS) * (1 + (steps % STEPS) / STEPS)
    largest = np.nextafter(powers, 0)  # a bin begins at a power, and ends below the next
    largest[-1] = np.finfo(np.float64).max
    smallest = np.concatenate([[np.nextafter(0, 1)], powers[:-1]])
    return np.concatenate([-smallest[::-1], [0.0], largest])
