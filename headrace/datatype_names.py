"""The tensor datatypes of the Open Inference Protocol by name; numpy is not needed to say them."""

from __future__ import annotations

import enum


class Datatype(enum.StrEnum):
    """A datatype by its name in the protocol."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    BF16 = "BF16"
    BYTES = "BYTES"


FLOATS = (Datatype.FP16, Datatype.BF16, Datatype.FP32, Datatype.FP64)
"""Those with fractions."""
