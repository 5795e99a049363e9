"""Fixed random projections of whole tensors: the same for ever, so that profiles of any replica add up."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

PROJECTIONS = 8
SEED = 20_240_229
MAX_ELEMENTS = 2**18
"""Of a row that are projected, 8 MB of signs; norm, mean and deviation are of all elements."""


@lru_cache(maxsize=4)
def _signs(elements: int) -> npt.NDArray[np.float32]:
    """Signs by element and projection. Those of a longer row begin as those of a shorter one."""
    generator = np.random.Generator(np.random.PCG64(SEED))
    bits = generator.integers(0, 2, size=(elements, PROJECTIONS), dtype=np.int8, endpoint=False)
    return (2 * bits - 1).astype(np.float32)


def projected(rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """[rows, PROJECTIONS]: each row times fixed random signs, over the root of its length."""
    elements = min(rows.shape[1], MAX_ELEMENTS)
    if not elements:
        return np.full((len(rows), PROJECTIONS), np.nan, np.float32)
    signs = _signs(elements)
    return (rows[:, :elements].astype(np.float32, copy=False) @ signs) / np.float32(elements**0.5)
