"""Inputs that nobody sent, in the shapes that a signature allows.

A free dimension is as large as the batch where it has the batch dimension's name, else 1. Zeros come with
empty strings; random values are fractions from 0 to 1, the whole numbers 0 and 1, which any index or mask
may be, and strings of digits, the same each time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.state.records import Signature, SyntheticData, TensorSpec
from headrace_inference.domain.scheduling.requests import Array

MAX_MADE_UP_BYTES = 1 << 30
"""Making up larger inputs would take the memory of the versions that answer."""

UNRANKED_SHAPE = (1,)
"""Of an input that may have any number of dimensions: most graphs that take a scalar take this, too."""

_SEED = 1
_MOST_DIGITS = 8


def made_up_inputs(
    signature: Signature, rows: int, *, batches: bool, data: SyntheticData = SyntheticData.ZEROS
) -> list[Array] | None:
    """One input for each of the signature's; None where they would be over MAX_MADE_UP_BYTES."""
    made: list[Array] = []
    left = MAX_MADE_UP_BYTES
    for spec in signature.inputs:
        shape = made_up_shape(spec, rows, batches=batches)
        values = made_up_values(spec.datatype, shape, data, left)
        if values is None:
            return None
        left -= values.nbytes
        made.append(values)
    return made


def made_up_shape(spec: TensorSpec, rows: int, *, batches: bool) -> tuple[int, ...]:
    """The shape of a made-up input of so many rows."""
    if spec.unranked:
        return UNRANKED_SHAPE
    names = _names(spec)
    batch_name = names[0] if batches and names else ""
    shape = [
        rows if name and name == batch_name else 1 if size < 0 else size
        for size, name in zip(spec.shape, names, strict=True)
    ]
    return (rows, *shape[1:]) if batches and shape else tuple(shape)


def guesses(signature: Signature, *, batches: bool) -> bool:
    """Return whether a made-up input has a dimension whose size the signature leaves open."""
    return any(spec.unranked for spec in signature.inputs) or any(
        size < 0 and not (batches and (place == 0 or (name and name == _names(spec)[0])))
        for spec in signature.inputs
        for place, (size, name) in enumerate(zip(spec.shape, _names(spec), strict=True))
    )


def made_up_values(
    datatype: Datatype, shape: tuple[int, ...], data: SyntheticData, most_bytes: int
) -> Array | None:
    """Values of a shape, strings as texts; None where they would be over so many bytes."""
    if _most_bytes(shape, NUMPY_DTYPES[datatype]) > most_bytes:
        return None
    if data is SyntheticData.RANDOM:
        return _random(datatype, shape)
    if datatype is Datatype.BYTES:
        return np.full(shape, "", np.object_)
    return np.zeros(shape, NUMPY_DTYPES[datatype])


def _random(datatype: Datatype, shape: tuple[int, ...]) -> Array:
    random, dtype = np.random.default_rng(_SEED), NUMPY_DTYPES[datatype]
    if datatype is Datatype.BYTES:
        numbers = np.asarray(random.integers(0, 10**_MOST_DIGITS, shape))
        return numbers.astype(str).astype(np.object_)
    if datatype in (Datatype.FP16, Datatype.FP32, Datatype.FP64, Datatype.BF16):
        return np.asarray(random.random(shape, np.float32)).astype(dtype)
    return np.asarray(random.integers(0, 2, shape)).astype(dtype)


def _names(spec: TensorSpec) -> Sequence[str]:
    missing = len(spec.shape) - len(spec.dim_names)
    return (*spec.dim_names, *[""] * missing)


def _most_bytes(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    # numpy checks the other dimensions of an empty array, too.
    return math.prod(max(1, size) for size in shape) * dtype.itemsize
