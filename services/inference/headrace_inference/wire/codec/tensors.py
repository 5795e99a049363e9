"""The values of a request's inputs: raw, typed, and the elements of BYTES tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.errors import InvalidArgument
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.scheduling.requests import (
    Array,
    SharedMemorySlice,
    TensorData,
    TensorHeader,
)
from headrace_inference.wire.codec.request_parser import ParsedMessage
from headrace_inference.wire.codec.request_templates import MessageHeader
from headrace_inference.wire.codec.texts import read_texts
from headrace_inference.wire.codec.typed_contents import (
    LazyTypedContents,
    TypedContents,
    Values,
    bytes_elements,
    in_chunks,
)

ZERO_COPY_BYTES = 32_768
"""From this size on a tensor is read where it lies; below, its own small `bytes` is cheaper to join."""

_NARROWEST_BYTES = 4
"""Of typed contents."""

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


def contents_of(parsed: ParsedMessage, regions: RegionTable) -> list[TensorData]:
    """The values of each input, in the request's order; the headers must have passed the checks.

    Raises InvalidArgument for values that are missing, too many, mixed, or no elements of their datatype,
    and what `regions` raises for those in shared memory.
    """
    head = parsed.header
    if head.typed or head.window_bytes or len(parsed.raw) != len(head.inputs):
        return _mixed_contents(parsed, regions)
    return [
        _raw(parsed.payload, start, end, header)
        for (start, end), header in zip(parsed.raw, head.inputs, strict=True)
    ]


def _raw(payload: bytes, start: int, end: int, header: TensorHeader) -> TensorData:
    if header.datatype == Datatype.BYTES:
        return raw_texts(payload[start:end], header)
    return raw_bytes(payload, start, end)


def raw_bytes(payload: bytes, start: int, end: int) -> bytes | memoryview:
    """A stretch of a message: where it lies, or a copy of a small one."""
    if end - start >= ZERO_COPY_BYTES:
        return memoryview(payload)[start:end]
    return payload[start:end]


def raw_texts(raw: bytes | memoryview, header: TensorHeader) -> Array:
    """A BYTES tensor from its raw contents, in the header's shape.

    Raises InvalidArgument for contents that are not whole, of another number of elements, or not UTF-8.
    """
    expected = math.prod(header.shape)
    texts = read_texts(raw, expected)
    if texts is None:  # few, long, with NULs, or wrong: one of them may be to blame
        return bytes_tensor(bytes_elements(raw, expected), header)
    return texts.reshape(header.shape)


def bytes_tensor(elements: Sequence[bytes], header: TensorHeader) -> Array:
    """A BYTES tensor for the runtime, which takes text: an object array of `str` in the header's shape."""
    expected = math.prod(header.shape)
    if len(elements) != expected:
        # Of raw elements no more than one too many is read.
        count = f"over {expected}" if len(elements) > expected else str(len(elements))
        raise InvalidArgument(
            "BYTES_COUNT_MISMATCH",
            f"unexpected number of string elements {count} for inference input "
            f"'{header.name}', expected {expected}",
        )
    array = np.empty(expected, dtype=np.object_)
    for piece in in_chunks(expected):
        try:
            array[piece] = [element.decode() for element in elements[piece]]
        except UnicodeDecodeError:
            raise _no_text(elements, header) from None
    return array.reshape(header.shape)


def _no_text(elements: Sequence[bytes], header: TensorHeader) -> InvalidArgument:
    for index, element in enumerate(elements):
        try:
            element.decode()
        except UnicodeDecodeError as error:
            what = f"element {index} of inference input '{header.name}' is not valid UTF-8 ({error.reason})"
            break
    return InvalidArgument("BYTES_NOT_UTF8", f"{what}; ONNX strings are UTF-8")


def _mixed_contents(parsed: ParsedMessage, regions: RegionTable) -> list[TensorData]:
    """Inputs in shared memory have no entry in the raw contents; all others have, or none has."""
    head = parsed.header
    raw = iter(parsed.raw)
    contents: list[TensorData] = []
    for header, typed, window in zip(head.inputs, head.contents, head.windows, strict=True):
        if typed is not None and (parsed.raw or window is not None):
            raise _mixed(head, header)
        if window is not None:
            contents.append(window_contents(header, window, regions))
        elif parsed.raw:
            stretch = next(raw, None)
            if stretch is None:
                raise _raw_count(head, len(parsed.raw))
            contents.append(_raw(parsed.payload, *stretch, header))
        else:
            contents.append(_typed_tensor(head, header, typed))
    if next(raw, None) is not None:
        raise _raw_count(head, len(parsed.raw))
    return contents


def window_contents(
    header: TensorHeader, window: SharedMemorySlice, regions: RegionTable
) -> TensorData:
    """An input's values from shared memory. Raises HeadraceError, before reading more than is needed."""
    datatype = Datatype(header.datatype)
    if datatype is Datatype.BYTES:
        return raw_texts(regions.read(window), header)
    expected = math.prod(header.shape) * NUMPY_DTYPES[datatype].itemsize
    if window.byte_size != expected:
        raise InvalidArgument(
            "RAW_SIZE_MISMATCH",
            f"input byte size mismatch for input '{header.name}' in shared memory region "
            f"'{window.region}'. Expected {expected}, got {window.byte_size}",
        )
    return regions.read(window)


def _typed_tensor(head: MessageHeader, header: TensorHeader, typed: TypedContents | None) -> Array:
    if typed is None and header.shape.count(0) == 0:
        raise _no_data(head, header)
    datatype = Datatype(header.datatype)
    name = _TYPED_FIELDS.get(datatype)
    if name is None:
        raise InvalidArgument(
            "CONTENTS_UNSUPPORTED",
            f"{datatype} has no typed contents: send input '{header.name}' in raw_input_contents",
        )
    _refuse_other_fields(header, typed, name)
    values = _values(typed, name)
    expected = math.prod(header.shape)
    if datatype is Datatype.BYTES:
        return bytes_tensor(cast("Sequence[bytes]", values), header)
    if len(values) != expected:
        if not len(values):
            raise _no_data(head, header)
        raise InvalidArgument(
            "CONTENTS_COUNT_MISMATCH",
            f"input '{header.name}' for model '{head.model_name}' has {len(values)} values in {name}; "
            f"its shape has {expected} elements",
        )
    return _narrowed(header, datatype, values).reshape(header.shape)


def _values(typed: TypedContents | None, name: str) -> Values:
    """The values of a field of typed contents, wherever they are."""
    if typed is None:
        return []
    if isinstance(typed, LazyTypedContents):
        return typed.values(name)
    values: Values = getattr(typed, name)
    return values


def _refuse_other_fields(header: TensorHeader, typed: TypedContents | None, name: str) -> None:
    """Raises InvalidArgument where values are in the datatype's field and in another."""
    if typed is None:
        return
    if isinstance(typed, LazyTypedContents):
        filled = typed.filled()
    else:
        filled = [descriptor.name for descriptor, _ in typed.ListFields()]
    others = [other for other in filled if other != name]
    if others and (name in filled or 0 in header.shape):
        raise InvalidArgument(
            "CONTENTS_MIXED",
            f"input '{header.name}' has values in {', '.join(filled)}; its datatype {header.datatype} "
            f"takes {name} alone",
        )


def _narrowed(header: TensorHeader, datatype: Datatype, values: Values) -> Array:
    """Typed contents are 32 bits wide at least; what does not fit a narrower datatype is refused."""
    dtype = NUMPY_DTYPES[datatype]
    if dtype.kind not in "iu" or dtype.itemsize >= _NARROWEST_BYTES:
        return np.asarray(values, dtype=dtype)
    wide = np.asarray(values, dtype=np.int64)
    limits = np.iinfo(dtype)
    misfits = np.flatnonzero((wide < limits.min) | (wide > limits.max))
    if misfits.size:
        first = int(misfits[0])
        raise InvalidArgument(
            "DATA_INVALID",
            f"data of input '{header.name}' ({datatype}, shape {list(header.shape)}): value "
            f"{int(wide[first])} at place {first} is not within {limits.min} to {limits.max}",
        )
    return wide.astype(dtype)


def _mixed(head: MessageHeader, header: TensorHeader) -> InvalidArgument:
    return InvalidArgument(
        "CONTENTS_MIXED",
        "contents field must not be specified when using raw_input_contents for "
        f"'{header.name}' for model '{head.model_name}'",
    )


def _no_data(head: MessageHeader, header: TensorHeader) -> InvalidArgument:
    return InvalidArgument(
        "CONTENTS_MISSING",
        f"unable to find data for input tensor '{header.name}' for model '{head.model_name}' in request.",
    )


def _raw_count(head: MessageHeader, count: int) -> InvalidArgument:
    expected = head.windows.count(None)
    return InvalidArgument(
        "RAW_COUNT_MISMATCH",
        f"expected {expected} entries in raw_input_contents for model '{head.model_name}', "
        f"one for each input in order, got {count}: unable to find data for input tensor",
    )
