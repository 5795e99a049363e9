"""Gives the types that numpy has for the tensors of decoders."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.datatypes import Datatype
from headrace.errors import Unimplemented
from headrace_inference.domain.scheduling.requests import Array

_DTYPES = {
    Datatype.FP32: np.float32,
    Datatype.FP16: np.float16,
    Datatype.INT8: np.int8,
    Datatype.UINT8: np.uint8,
    Datatype.INT32: np.int32,
    Datatype.INT64: np.int64,
}


def dtype_of(datatype: Datatype) -> np.dtype[np.generic]:
    """Return numpy's type. Raises Unimplemented (DATATYPES_UNSUPPORTED) where it has none."""
    if datatype not in _DTYPES:
        raise Unimplemented(
            "DATATYPES_UNSUPPORTED",
            f"the decoder keeps keys and values as {datatype}, for which numpy has no type; export it with "
            "FP32 or FP16",
        )
    return np.dtype(_DTYPES[datatype])


def logits_counts(session: Any, name: str) -> tuple[Array, Array]:
    """Return what tells a graph that logits of the last token are wanted, and of all, in its own form."""
    ends = [*session.get_inputs(), *session.get_overridable_initializers()]
    rank = next((len(one.shape) for one in ends if one.name == name), 0)
    last, every = np.array(1, np.int64), np.array(0, np.int64)
    return last.reshape((1,) * rank), every.reshape((1,) * rank)


def float32(logits: Array) -> Array:
    """Return logits as tokens are chosen from them."""
    return logits.astype(np.float32, copy=False)
