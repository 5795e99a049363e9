"""Inputs that are made up for a trial: rows of several magnitudes, of the sizes that a graph may want."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.datatypes import NUMPY_DTYPES
from headrace.state.records import Signature, TensorSpec

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Manner:
    """A way to make up rows: the size of free dimensions, and the bound of integers.

    With 1 a softmax says nothing; 0 and 1 may be any index or mask.
    """

    free_size: int
    whole_numbers: int = 2


def made_up_rows(
    signature: Signature, manner: Manner, loudness: tuple[float, ...], seed: int
) -> list[dict[str, Array]]:
    """The inputs of as many requests of one row as there are magnitudes."""
    random = np.random.default_rng(seed)
    return [
        {spec.name: _values(random, spec, manner, factor) for spec in signature.inputs}
        for factor in loudness
    ]


def joined(requests: list[dict[str, Array]]) -> dict[str, Array]:
    """The requests as one."""
    return {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}


def size_bytes(signature: Signature, manner: Manner) -> int:
    """The bytes of one made-up row."""
    total = 0
    for spec in signature.inputs:
        size = NUMPY_DTYPES[spec.datatype].itemsize
        for dimension in _shape(spec, manner):
            size *= max(1, dimension)  # numpy checks the other dimensions of an empty array, too
        total += size
    return total


def _shape(spec: TensorSpec, manner: Manner) -> tuple[int, ...]:
    return (1, *(size if size >= 0 else manner.free_size for size in spec.shape[1:]))


def _values(
    random: np.random.Generator, spec: TensorSpec, manner: Manner, loudness: float
) -> Array:
    dtype, shape = NUMPY_DTYPES[spec.datatype], _shape(spec, manner)
    if dtype.kind == "f":
        return (random.standard_normal(shape) * loudness).astype(dtype)
    bound = 2 if dtype.kind == "b" else manner.whole_numbers
    numbers: Array = random.integers(0, bound, shape)
    return numbers.astype(str).astype(np.object_) if dtype.kind == "O" else numbers.astype(dtype)
