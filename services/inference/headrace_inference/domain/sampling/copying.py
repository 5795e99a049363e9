"""Copies rows out of a run: what is copied holds nothing of the requests' messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headrace_inference.domain.scheduling.requests import Array

MAX_ROW_BYTES = 64 * 2**20
"""Copied in 15 ms; whose rows are larger has none of them looked at."""

Places = npt.NDArray[np.intp]


def copied(arrays: Sequence[Array | None], places: Places, rows: int) -> tuple[Array | None, ...]:
    """These rows of each array. Of a run of one row, an array without rows is that row."""
    return tuple([_copied(array, places, rows) for array in arrays])


def copied_row(arrays: Sequence[Array | None], place: int, rows: int) -> tuple[Array | None, ...]:
    """The same of one row, in a quarter of the time."""
    return tuple(
        [
            array[place : place + 1].copy()
            if array is not None and array.ndim and array.shape[0] == rows
            else _whole(array, rows)
            for array in arrays
        ]
    )


def _copied(array: Array | None, places: Places, rows: int) -> Array | None:
    if array is None:
        return None
    if array.ndim and array.shape[0] == rows:
        return array.take(places, axis=0)
    return _whole(array, rows)


def _whole(array: Array | None, rows: int) -> Array | None:
    return array[np.newaxis].copy() if array is not None and rows == 1 else None


def are_huge(arrays: Sequence[Array | None], rows: int) -> bool:
    """Return whether rows have more than MAX_ROW_BYTES each in one of these arrays of numbers."""
    most = MAX_ROW_BYTES * max(1, rows)
    return any(array is not None and array.nbytes > most for array in arrays)


def size_of(arrays: Sequence[Array | None]) -> int:
    """About how many bytes these hold."""
    return sum([_size(array) for array in arrays if array is not None])


def _size(array: Array) -> int:
    if array.dtype != object:
        return array.nbytes
    return sum(len(value) for value in array.ravel() if isinstance(value, (bytes, str)))
