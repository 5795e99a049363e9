"""The error for inputs that are not what a model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace import errors

if TYPE_CHECKING:
    from headrace.client.arrays import Array


class InputTypeError(errors.InvalidArgument, TypeError):
    """An input of another type than the model takes: an InvalidArgument, and a TypeError as in Python."""


def described(value: object, array: Array | None = None) -> str:
    """Names a value's type, dtype and shape, never its contents."""
    kind = type(value).__name__
    if array is None:
        return f"{kind}"
    dtype = "text" if array.dtype.kind == "U" else array.dtype
    return f"{kind} of {dtype} {list(array.shape)}"
