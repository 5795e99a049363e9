"""The values of a request's inputs: raw, typed, and the elements of BYTES tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.datatypes import NUMPY_DTYPES, Datatype, decode_bytes_elements
from headrace.errors import InvalidArgument
from headrace_inference.domain.requests import Array, Contents, TensorHeader
from headrace_inference.wire.request_parser import Head, Parsed

ZERO_COPY_BYTES = 32_768
"""From this size on a tensor is read where it lies; below, its own small `bytes` is cheaper to join."""

_TYPED_FIELDS = {
    Datatype.BOOL: "bool_contents",
    Datatype.UINT8: "uint_contents",
    Datatype.UINT16: "uint_contents",
    Datatype.UINT32: "uint_contents",
    Datatype.UINT64: "uint64_contents",
    Datatype.INT8: "int_contents",
    Datatype.INT16: "int_contents",
    Datatype.INT32: "int_contents",
    Datatype.INT64: "int64_contents",
    Datatype.FP32: "fp32_contents",
    Datatype.FP64: "fp64_contents",
    Datatype.BYTES: "bytes_contents",
}


def contents_of(parsed: Parsed) -> list[Contents]:
    """The values of each input, in the request's order; the headers must have passed the checks.

    Raises InvalidArgument for values that are missing, too many, mixed, or no elements of their datatype.
    """
    head = parsed.head
    if head.typed or not parsed.raw:
        return _typed_contents(parsed)
    if len(parsed.raw) != len(head.inputs):
        raise _raw_count(head, len(parsed.raw))
    return [
        _raw(parsed.payload, start, end, header)
        for (start, end), header in zip(parsed.raw, head.inputs, strict=True)
    ]


def _raw(payload: bytes, start: int, end: int, header: TensorHeader) -> Contents:
    if header.datatype == Datatype.BYTES:
        expected = math.prod(header.shape)
        return bytes_tensor(decode_bytes_elements(payload[start:end], expected), header)
    if end - start >= ZERO_COPY_BYTES:
        return memoryview(payload)[start:end]
    return payload[start:end]


def bytes_tensor(elements: Sequence[bytes], header: TensorHeader) -> Array:
    """A BYTES tensor for the runtime, which takes text: an object array of `str` in the header's shape."""
    expected = math.prod(header.shape)
    if len(elements) != expected:
        raise InvalidArgument(
            "BYTES_COUNT_MISMATCH",
            f"unexpected number of string elements {len(elements)} for inference input "
            f"'{header.name}', expected {expected}",
        )
    array = np.empty(expected, dtype=np.object_)
    for index, element in enumerate(elements):
        try:
            array[index] = element.decode()
        except UnicodeDecodeError as error:
            raise InvalidArgument(
                "BYTES_NOT_UTF8",
                f"element {index} of inference input '{header.name}' is no UTF-8 text ({error.reason}); "
                "ONNX strings are UTF-8",
            ) from None
    return array.reshape(header.shape)


def _typed_contents(parsed: Parsed) -> list[Contents]:
    head = parsed.head
    contents: list[Contents] = []
    for header, typed in zip(head.inputs, head.contents, strict=True):
        if typed is not None and parsed.raw:
            raise InvalidArgument(
                "CONTENTS_MIXED",
                "contents field must not be specified when using raw_input_contents for "
                f"'{header.name}' for model '{head.model_name}'",
            )
        if typed is None and parsed.raw:
            raise _raw_count(head, len(parsed.raw))
        if typed is None and header.shape.count(0) == 0:
            raise _no_data(head, header)
        contents.append(_typed_tensor(head, header, typed))
    return contents


def _typed_tensor(head: Head, header: TensorHeader, typed: Any) -> Array:
    datatype = Datatype(header.datatype)
    name = _TYPED_FIELDS.get(datatype)
    if name is None:
        raise InvalidArgument(
            "CONTENTS_UNSUPPORTED",
            f"{datatype} has no typed contents: send input '{header.name}' in raw_input_contents",
        )
    values = [] if typed is None else getattr(typed, name)
    expected = math.prod(header.shape)
    if datatype is Datatype.BYTES:
        return bytes_tensor(list(values), header)
    if len(values) != expected:
        if not len(values):
            raise _no_data(head, header)
        raise InvalidArgument(
            "CONTENTS_COUNT_MISMATCH",
            f"input '{header.name}' for model '{head.model_name}' has {len(values)} values in {name}; "
            f"its shape has {expected} elements",
        )
    return _narrowed(datatype)(values).reshape(header.shape)


def _narrowed(datatype: Datatype) -> Callable[[Any], Array]:
    """Typed contents are 32 bits wide at least; narrower datatypes take the low bytes, as Triton does."""
    dtype = NUMPY_DTYPES[datatype]
    if dtype.kind in "iu" and dtype.itemsize < 4:
        wide = np.int64
        return lambda values: np.array(values, dtype=wide).astype(dtype)
    return lambda values: np.array(values, dtype=dtype)


def _no_data(head: Head, header: TensorHeader) -> InvalidArgument:
    return InvalidArgument(
        "CONTENTS_MISSING",
        f"unable to find data for input tensor '{header.name}' for model '{head.model_name}' in request.",
    )


def _raw_count(head: Head, count: int) -> InvalidArgument:
    return InvalidArgument(
        "RAW_COUNT_MISMATCH",
        f"expected {len(head.inputs)} entries in raw_input_contents for model '{head.model_name}', "
        f"one for each input in order, got {count}: unable to find data for input tensor",
    )
