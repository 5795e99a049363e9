"""The nouns of the payload log: one record a request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from headrace.datatypes import NUMPY_DTYPES, Datatype

Array = npt.NDArray[Any]
Value = str | int | float | bool | None


class Left(StrEnum):
    """Why a tensor is not in the log as it was."""

    NOT_ALLOWED = "not allowed"
    """The list of fields has it not: name, datatype and shape are all that is logged."""
    TOO_LARGE = "too large"
    BINARY = "binary"
    """Its bytes are no text, so that no mask could look into them."""
    DROPPED = "dropped"
    """By a mask's rule."""
    MASKED = "masked"
    """Its values are there, but for those that a mask changed."""
    CUT = "cut"
    """Its texts are there up to the most characters."""


class TensorPayload(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tensor: its values in row-major order, or why they are not all here."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Value] | None = None
    left: str = ""
    """One of Left, where it is not as it was."""


class PayloadRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request, and what became of it."""

    time: str
    """When it was answered: RFC 3339, UTC."""
    model: str
    version: int
    digest: str = ""
    """Of the version's artifact: a number may be given again, in another registry."""
    route: str = ""
    replica: str = ""
    request_id: str = ""
    slices: list[str] = []
    latency_ms: float = 0.0
    error: str = ""
    """The reason, where it was not answered well."""
    headers: dict[str, str] = {}
    parameters: dict[str, Value] = {}
    inputs: list[TensorPayload] = []
    outputs: list[TensorPayload] = []
    prompt: str | None = None
    """Of a language model, where it may be logged."""
    answers: list[str] | None = None
    masked: list[str] = []
    """What is not as it was, as the list of fields names it: input:text, prompt, ..."""


def moment_text(time_ns: int) -> str:
    """A moment of the wall clock as records have it."""
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns // 1000 % 1_000_000:06d}Z"


def plain_values(array: Array) -> list[Value]:
    """The values of a tensor of numbers or booleans as JSON has them: nan and infinities as texts."""
    if array.dtype.kind in "biu":
        return list(array.ravel().tolist())
    return [
        value if math.isfinite(value) else _NAMES[str(value)]
        for value in array.astype(np.float64).ravel().tolist()
    ]


def array_of(tensor: TensorPayload) -> Array | None:
    """The tensor as it was; None where the log has not all of it."""
    if tensor.data is None or tensor.left:
        return None
    datatype = Datatype(tensor.datatype)
    values: Sequence[Any] = tensor.data
    if datatype is Datatype.BYTES:
        array = np.empty(len(values), np.object_)
        array[:] = [str(value).encode() for value in values]
        return array.reshape(tensor.shape)
    numbers = [float(value) if isinstance(value, str) else value for value in values]
    return np.array(numbers, NUMPY_DTYPES[datatype]).reshape(tensor.shape)


_NAMES = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
