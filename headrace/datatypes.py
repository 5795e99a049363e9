"""Tensor datatypes as numpy holds them, and as bytes on the wire."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from headrace import errors
from headrace.bytes_elements import (
    decode_bytes_elements,
    elements_size,
    encode_bytes_elements,
)
from headrace.datatype_names import Datatype

__all__ = [
    "BFLOAT16",
    "NUMPY_DTYPES",
    "Datatype",
    "datatype_of",
    "decode_bytes_elements",
    "encode_bytes_elements",
    "to_wire",
    "wire_size",
]

BFLOAT16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)

NUMPY_DTYPES: dict[Datatype, np.dtype[Any]] = {
    Datatype.BOOL: np.dtype(np.bool_),
    Datatype.UINT8: np.dtype(np.uint8),
    Datatype.UINT16: np.dtype("<u2"),
    Datatype.UINT32: np.dtype("<u4"),
    Datatype.UINT64: np.dtype("<u8"),
    Datatype.INT8: np.dtype(np.int8),
    Datatype.INT16: np.dtype("<i2"),
    Datatype.INT32: np.dtype("<i4"),
    Datatype.INT64: np.dtype("<i8"),
    Datatype.FP16: np.dtype("<f2"),
    Datatype.FP32: np.dtype("<f4"),
    Datatype.FP64: np.dtype("<f8"),
    Datatype.BF16: BFLOAT16,
    Datatype.BYTES: np.dtype(np.object_),
}
"""How a tensor of each datatype is held: BYTES as an object array of `bytes`."""

_BY_NUMPY = {dtype: datatype for datatype, dtype in NUMPY_DTYPES.items()}


def datatype_of(array: npt.NDArray[Any]) -> Datatype:
    """The datatype that an array travels as. Raises InvalidArgument where there is none."""
    if array.dtype.kind in "SUO":
        return Datatype.BYTES
    datatype = _BY_NUMPY.get(array.dtype.newbyteorder("<"))
    if datatype is None:
        raise errors.InvalidArgument(
            "DATATYPE_UNSUPPORTED",
            f"arrays of dtype {array.dtype} do not travel; use one of {', '.join(NUMPY_DTYPES)}",
        )
    return datatype


def to_wire(array: npt.NDArray[Any]) -> bytes:
    """The raw contents of a tensor: row-major, little-endian; BYTES elements behind their lengths."""
    if array.dtype.kind in "SUO":
        return encode_bytes_elements(array)
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def wire_size(array: npt.NDArray[Any]) -> int:
    """Return how many bytes `to_wire` makes of a tensor, without making them."""
    if array.dtype.kind not in "SUO":
        return array.nbytes
    return elements_size(array)
