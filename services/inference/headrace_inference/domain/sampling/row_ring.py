"""Room for sampled rows of one shape: a row is one assignment for each tensor, and no object is made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace_inference.domain.scheduling.requests import Array

Arrays = Sequence[Array | None]


class RowRing:
    """Arrays that are filled row by row, in the shapes of one run's inputs and outputs."""

    __slots__ = ("_arrays", "_capacity", "_sizes", "count", "inputs")

    def __init__(self, inputs: Arrays, outputs: Arrays, capacity: int) -> None:
        arrays = [array for array in (*inputs, *outputs) if array is not None]
        self._arrays = [np.empty((capacity, *array.shape[1:]), array.dtype) for array in arrays]
        self._sizes = [array.size // max(1, len(array)) for array in arrays]
        self._capacity = capacity
        self.inputs = len(inputs)
        """How many of the arrays are inputs."""
        self.count = 0

    @staticmethod
    def takes(inputs: Arrays, outputs: Arrays, rows: int) -> bool:
        """Tell whether rows of such a run can be kept so: numbers, each tensor with so many rows."""
        return all(
            array is not None and array.ndim and len(array) == rows and array.dtype != object
            for array in (*inputs, *outputs)
        )

    def put(
        self, inputs: Arrays, outputs: Arrays, spans: Sequence[tuple[int, int]], rows: int
    ) -> bool:
        """Copy these rows of a run; False: it is full, or they are of other shapes, and nothing is kept."""
        at = self.count
        if at + sum([end - start for start, end in spans]) > self._capacity:
            return False
        try:
            for kept, size, array in zip(
                self._arrays, self._sizes, (*inputs, *outputs), strict=True
            ):
                if array is None or array.size != size * rows or len(array) != rows:
                    return False
                place = at
                for start, end in spans:
                    kept[place : place + end - start] = array[start:end]
                    place += end - start
        except (
            ValueError,
            IndexError,
            TypeError,
        ):  # as many elements in another shape, or another number of tensors
            return False
        self.count = place
        return True

    def rows(self, start: int, end: int) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The inputs and outputs of these rows."""
        arrays = [array[start:end] for array in self._arrays]
        return tuple(arrays[: self.inputs]), tuple(arrays[self.inputs :])
