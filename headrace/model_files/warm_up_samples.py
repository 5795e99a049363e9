"""The inputs of warm-up samples that lie in files of an artifact: what is right, and reading them.

A raw file is one row as the protocol has tensors on the wire. An .npy file is one row, or rows below one
another where the version batches.
"""

from __future__ import annotations

import io
import math
import tokenize
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace import errors
from headrace.datatypes import BFLOAT16, NUMPY_DTYPES, Datatype, decode_bytes_elements
from headrace.state.records import Sample, SampleInput, Signature, TensorSpec

Array = npt.NDArray[Any]

NPY = ".npy"
_HEADER_2_0 = np.lib.format.read_array_header_2_0
_MALFORMED = (
    ValueError,
    TypeError,
    OverflowError,
    SyntaxError,
    RecursionError,
    EOFError,
    tokenize.TokenError,
)
"""All that reading a header of any bytes raises, tried with 20,000 of them."""
_MOST_CHARACTERS = 200
_MOST_NAMED = 20
MAX_BYTES = 1 << 30
"""Of one input: what is larger is no row to warm a model with."""


def check_samples(
    samples: Iterable[Sample], signature: Signature, folder: Path, *, batches: bool
) -> None:
    """Pass if every sample gives all inputs, in shapes and from files that suit.

    Raises InvalidArgument (WARM_UP_SAMPLE_INVALID).
    """
    specs = {spec.name: spec for spec in signature.inputs}
    for sample in samples:
        if set(sample.inputs) != set(specs):
            raise invalid(sample.name, f"gives {_listed(sample.inputs)}, not {_listed(specs)}")
        for name, given in sample.inputs.items():
            _check_shape(sample.name, specs[name], given, batches=batches)
            if given.file:
                read_rows(sample.name, specs[name], given, folder, batches=batches)


def read_rows(
    sample: str, spec: TensorSpec, given: SampleInput, folder: Path, *, batches: bool
) -> Array:
    """The values of an input from its file, with at least one row where the version batches.

    BYTES are texts. Raises InvalidArgument (WARM_UP_SAMPLE_INVALID).
    """
    path = folder / given.file
    if not path.is_file():
        raise _wrong(sample, spec, f"there is no file {given.file[:200]!r} in the artifact")
    try:
        read = _read_npy if path.suffix == NPY else _read_raw
        return read(sample, spec, given, path, batches=batches)
    except UnicodeDecodeError as error:
        raise _wrong(
            sample, spec, f"{given.file!r} has a string that is not valid UTF-8"
        ) from error


def invalid(sample: str, problem: str) -> errors.InvalidArgument:
    """The error that says what is wrong with a sample."""
    return errors.InvalidArgument(
        "WARM_UP_SAMPLE_INVALID", f"warm-up sample {sample!r} {problem}", facts={"sample": sample}
    )


def _wrong(sample: str, spec: TensorSpec, problem: str) -> errors.InvalidArgument:
    return invalid(sample, f"has no right values for input {spec.name!r}: {problem}")


def _row_shape(spec: TensorSpec, *, batches: bool) -> tuple[int, ...]:
    return spec.shape[1:] if batches else spec.shape


def _check_shape(sample: str, spec: TensorSpec, given: SampleInput, *, batches: bool) -> None:
    row = _row_shape(spec, batches=batches)
    if given.shape and not spec.unranked and not _fits(given.shape, row):
        what = "one row without the batch dimension" if batches else "the whole input"
        raise _wrong(sample, spec, f"its shape is {list(given.shape)}; {what} has {list(row)}")


def _fits(shape: Sequence[int], expected: Sequence[int]) -> bool:
    return len(shape) == len(expected) and all(
        wanted in (-1, size) for size, wanted in zip(shape, expected, strict=True)
    )


def _read_raw(
    sample: str, spec: TensorSpec, given: SampleInput, path: Path, *, batches: bool
) -> Array:
    row = given.shape or _row_shape(spec, batches=batches)
    if any(size < 0 for size in row) or (spec.unranked and not given.shape):
        raise _wrong(sample, spec, f"the model leaves {list(row)} open: say the file's shape")
    shape = (1, *row) if batches else tuple(row)
    if spec.datatype is Datatype.BYTES:
        return _read_texts(sample, spec, path, shape)
    dtype = NUMPY_DTYPES[spec.datatype]
    expected, found = math.prod(shape) * dtype.itemsize, path.stat().st_size
    if found != expected:
        wanted = f"{spec.datatype} {list(row)} has {expected}"
        raise _wrong(sample, spec, f"{given.file!r} has {found} bytes; {wanted}")
    _check_size(sample, spec, found)
    return np.frombuffer(path.read_bytes(), dtype).reshape(shape)


def _read_texts(sample: str, spec: TensorSpec, path: Path, shape: tuple[int, ...]) -> Array:
    _check_size(sample, spec, path.stat().st_size)
    count = math.prod(shape)
    try:
        elements = decode_bytes_elements(path.read_bytes(), count)
    except errors.InvalidArgument as error:
        raise _wrong(sample, spec, error.message) from error
    if len(elements) != count:
        found = "more" if len(elements) > count else str(len(elements))
        raise _wrong(sample, spec, f"{path.name!r} has {found} strings, and not {count}")
    return _texts(elements).reshape(shape)


def _texts(elements: Iterable[bytes | str]) -> Array:
    texts = [text if isinstance(text, str) else text.decode() for text in elements]
    array = np.empty(len(texts), np.object_)
    array[:] = texts
    return array


def _read_npy(
    sample: str, spec: TensorSpec, given: SampleInput, path: Path, *, batches: bool
) -> Array:
    array = _npy_array(sample, spec, path)
    row = given.shape or _row_shape(spec, batches=batches)
    if batches and array.ndim == len(row):
        array = array[np.newaxis]
    expected = (-1, *row) if batches else row
    values = _of_datatype(array, spec.datatype)
    fits = (spec.unranked and not given.shape) or _fits(array.shape, expected)
    if values is None or not fits or (batches and not len(array)):
        problem = f"{given.file!r} is {array.dtype} {list(array.shape)}"
        raise _wrong(sample, spec, f"{problem}; it must be {spec.datatype} {list(expected)}")
    return values


def _npy_array(sample: str, spec: TensorSpec, path: Path) -> Array:
    """The array in a file, never an object that its bytes would make: those run as code."""
    _check_size(sample, spec, path.stat().st_size)
    raw = io.BytesIO(path.read_bytes())
    try:
        version = np.lib.format.read_magic(raw)
        read = np.lib.format.read_array_header_1_0
        shape, fortran, dtype = (read if version[0] == 1 else _HEADER_2_0)(raw)
        data = raw.getbuffer()[raw.tell() :]
        if dtype.hasobject or len(data) != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{len(data)} bytes are not the size of {dtype} {list(shape)}")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    except _MALFORMED as error:
        text = str(error)[:_MOST_CHARACTERS]
        raise _wrong(sample, spec, f"{path.name!r} is not a .npy file: {text}") from error


def _of_datatype(array: Array, datatype: Datatype) -> Array | None:
    """The array as its datatype is held, None where it is of another; BF16 is written as its bits."""
    if datatype is Datatype.BYTES:
        if array.dtype.kind not in "SU":
            return None
        return _texts(array.ravel().tolist()).reshape(array.shape)
    if datatype is Datatype.BF16 and array.dtype.str in ("<u2", "<V2", "|V2"):
        return np.ascontiguousarray(array).view(BFLOAT16)
    return array if array.dtype == NUMPY_DTYPES[datatype] else None


def _check_size(sample: str, spec: TensorSpec, size: int) -> None:
    if size > MAX_BYTES:
        raise _wrong(sample, spec, f"its file has {size} bytes; {MAX_BYTES} are the most")


def _listed(names: Iterable[str]) -> str:
    """The names, as far as an error has room for them."""
    first = [repr(name[:80]) for name in sorted(names)[:_MOST_NAMED]]
    return "the inputs " + (", ".join(first) or "none")
