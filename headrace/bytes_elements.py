"""BYTES elements as they travel: each after its length as 4 little-endian bytes.

Elements are short and many, so a step of Python for each costs more than all else in a request. Where
they have no NUL, which is what texts are like, numpy finds all lengths at once, and `str.join` leaves room
for them. What is not like that is read and written element by element, with the same result.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from headrace import errors

__all__ = [
    "GAP",
    "CompiledElements",
    "FoundElements",
    "compiled",
    "decode_bytes_elements",
    "elements_size",
    "encode_bytes_elements",
    "find_elements",
]

GAP = b"\0\0\0\0"
"""What stands where a length is to be: nothing that an element without NULs can be taken for."""

PIECE_ELEMENTS = 4096
"""Elements that are written at once: the interpreter is kept for some 0.1 ms."""

_FEW_TO_READ, _FEW_TO_WRITE = 64, 32
"""Up to so many elements a step for each is as fast."""

_LONG_BYTES = 128
"""From this mean length on, looking at every byte takes longer than a step for each element."""

_BYTE = 256
_LENGTH = struct.Struct("<I")
_COPIED_BYTES = 2**20


class CompiledElements(Protocol):
    """The functions of compiled_elements.c; None is for what has to be looked at one by one."""

    def read_texts(
        self,
        raw: bytes | memoryview,
        count: int,
        most_alike: int,
        most: int,
        most_objects: int,
    ) -> tuple[int, bytearray] | list[str] | None:
        """So many texts: the width of an array of them and its characters, or `most_objects` at most."""

    def write_elements(self, elements: list[Any]) -> bytes | None:
        """The raw tensor of texts and bytes."""


def _find_compiled() -> CompiledElements | None:
    try:
        return cast("CompiledElements", importlib.import_module("headrace._compiled_elements"))
    except ImportError:
        return None


compiled = _find_compiled()
"""The compiled code, where it was built: see scripts/compile_elements.py."""

_Places = npt.NDArray[np.int64]
_Lengths = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, slots=True)
class FoundElements:
    """Where the elements of a raw BYTES tensor are, none of which has a NUL in it."""

    raw: bytes
    starts: _Places
    """Of each element: where its length is."""
    lengths: _Lengths

    def blanked(self) -> bytes:
        """The raw tensor with a gap in the place of each length."""
        flat = np.frombuffer(bytearray(self.raw), np.uint8)
        for place in range(_LENGTH.size if self.lengths.max() >= _BYTE else 1):
            flat[self.starts + place] = 0
        return flat.tobytes()


def find_elements(raw: bytes | memoryview, count: int | None = None) -> FoundElements | None:
    """Find the elements of a raw tensor that is exactly `count` of them; any number if that is None.

    None where they are few or long, where one has a NUL, and for whatever is not whole: then each has to be
    looked at.
    """
    if not _pays(raw, count):
        return None
    whole = bytes(raw)
    flat = np.frombuffer(whole, np.uint8)
    zeros = len(whole) - int(np.count_nonzero(flat))
    found = _equal(whole, count) or _by_zeros(flat, zeros, count)
    if found is None or zeros != _zeros_in(found[1]):
        return None
    return FoundElements(whole, *found)


def _zeros_in(lengths: _Lengths) -> int:
    if lengths.dtype == np.uint8:
        return (_LENGTH.size - 1) * len(lengths)  # none is 0
    places = lengths.view(np.uint8)
    return places.size - int(np.count_nonzero(places))


def _pays(raw: bytes | memoryview, count: int | None) -> bool:
    """Return whether elements may be many and short."""
    size = len(raw)
    if size <= _FEW_TO_READ * _LENGTH.size:
        return False
    if count is None:  # the first one speaks for all
        return bool(_LENGTH.unpack_from(raw)[0] <= _LONG_BYTES)
    return count > _FEW_TO_READ and _LENGTH.size * count <= size <= _LONG_BYTES * count


def _equal(raw: bytes, count: int | None) -> tuple[_Places, _Lengths] | None:
    """Elements that are all as long as the first one."""
    (length,) = _LENGTH.unpack_from(raw)
    step = _LENGTH.size + length
    many, rest = divmod(len(raw), step)
    if rest or (count is not None and many != count):
        return None
    lengths = np.ndarray((many,), "<u4", raw, 0, (step,))
    if (lengths != length).any():
        return None
    return np.arange(0, len(raw), step), lengths.copy()


def _by_zeros(
    flat: npt.NDArray[np.uint8], zeros: int, count: int | None
) -> tuple[_Places, _Lengths] | None:
    """Elements without NULs: their lengths end where zeros do.

    A guess, which the lengths themselves prove: there is only one way to read the tensor from its start.
    """
    is_zero = flat == 0
    before, after = is_zero[:-1], is_zero[1:]
    (ends,) = (before > after).nonzero()
    if len(ends) == count and zeros == (_LENGTH.size - 1) * count and not is_zero[-1]:
        # If low bytes lead from end to end and none is 0, no zero can be elsewhere than behind them.
        starts = ends - (_LENGTH.size - 1)
        lengths = flat[starts]
        if lengths.all() and _leads(starts, lengths, len(flat)):
            return starts, lengths
    if is_zero[-1]:
        ends = np.append(ends, len(flat) - 1)
    if len(ends) != count:
        begins = (before < after).nonzero()[0] + 1
        ends = _ends_of_lengths(np.append(0, begins) if is_zero[0] else begins, ends)
    starts = ends - (_LENGTH.size - 1)
    if not len(starts) or (count is not None and len(starts) != count):
        return None
    wide = np.ndarray((len(flat) - 3,), "<u4", flat, 0, (1,))[starts]
    return (starts, wide) if _leads(starts, wide, len(flat)) else None


def _leads(starts: _Places, lengths: _Lengths, size: int) -> bool:
    """Return whether each element begins where the one before ends, from the first byte to the last."""
    following = starts + lengths
    following += _LENGTH.size
    return bool(starts[0] == 0 and following[-1] == size and (following[:-1] == starts[1:]).all())


def _ends_of_lengths(begins: _Places, ends: _Places) -> _Places:
    """The ends of all lengths in stretches of zeros, of which each four are an empty element.

    One more may be the low byte of a length of 256 or 512.
    """
    empty, rest = np.divmod(ends - begins + 1, _LENGTH.size)
    is_low = np.zeros(len(ends), np.bool_)
    is_low[:-1] = (rest[:-1] == 1) & (np.diff(ends) == _LENGTH.size - 1)
    copies = np.where((rest == 0) | is_low, empty, 1)
    ends = ends - is_low
    after = np.repeat(np.cumsum(copies), copies) - 1 - np.arange(copies.sum())
    found: _Places = np.repeat(ends, copies) - _LENGTH.size * after
    return found


def decode_bytes_elements(raw: bytes | memoryview, expected: int | None = None) -> list[bytes]:
    """The elements of a raw BYTES tensor; of one with more than `expected`, only one more is read.

    Raises InvalidArgument (BYTES_TRUNCATED).
    """
    found = find_elements(raw, expected)
    if found is not None:
        return found.blanked().split(GAP)[1:]
    if not isinstance(raw, bytes) and len(raw) <= _COPIED_BYTES:
        raw = bytes(raw)
    return _decoded_one_by_one(raw, len(raw) if expected is None else expected)


def _decoded_one_by_one(raw: bytes | memoryview, most: int) -> list[bytes]:
    elements: list[Any] = []
    position, end = 0, len(raw)
    unpack = _LENGTH.unpack_from
    while position < end and len(elements) <= most:
        start = position + _LENGTH.size
        if start > end:
            raise _truncated("incomplete string length indicator for inference input", position)
        position = start + unpack(raw, position)[0]
        if position > end:
            raise _truncated("incomplete string data for inference input", start)
        elements.append(raw[start:position])
    return elements if isinstance(raw, bytes) else list(map(bytes, elements))


def encode_bytes_elements(array: npt.NDArray[Any]) -> bytes:
    """BYTES elements in row-major order, each after its length as 4 little-endian bytes."""
    if array.size <= PIECE_ELEMENTS:
        return _encoded(array.ravel().tolist())
    return b"".join(map(_encoded, _pieces(array)))


def elements_size(array: npt.NDArray[Any]) -> int:
    """Return how many bytes `encode_bytes_elements` makes, without making them all."""
    sizes = [len(_joined(piece, b"")) for piece in _pieces(array)]
    return _LENGTH.size * array.size + sum(sizes)


def _pieces(array: npt.NDArray[Any]) -> Iterable[list[Any]]:
    flat = array.ravel()
    for start in range(0, flat.size, PIECE_ELEMENTS):
        yield flat[start : start + PIECE_ELEMENTS].tolist()


def _encoded(elements: list[Any]) -> bytes:
    encoded = compiled.write_elements(elements) if compiled is not None else None
    return _encoded_by_python(elements) if encoded is None else encoded


def _encoded_by_python(elements: list[Any]) -> bytes:
    if len(elements) > _FEW_TO_WRITE:
        gaps = GAP + _joined(elements, GAP)
        if len(gaps) <= _LONG_BYTES * len(elements):
            encoded = _filled(gaps, len(elements))
            if encoded is not None:
                return encoded
    parts: list[bytes] = []
    for element in map(_bytes, elements):
        parts += (_LENGTH.pack(len(element)), element)
    return b"".join(parts)


def _filled(gaps: bytes, count: int) -> bytes | None:
    """Elements behind gaps, with the lengths in them; None where an element has a NUL itself."""
    flat = np.frombuffer(bytearray(gaps), np.uint8)
    if len(flat) - np.count_nonzero(flat) != _LENGTH.size * count:
        return None
    bounds = np.empty(count + 1, np.int64)
    bounds[0], bounds[1:-1], bounds[-1] = 0, _later_gaps(flat == 0, count), len(flat)
    starts = bounds[:-1]
    lengths = bounds[1:] - starts
    lengths -= _LENGTH.size
    flat[starts] = lengths.astype(np.uint8)
    if lengths.max() >= _BYTE:
        for place in range(1, _LENGTH.size):
            flat[starts + place] = (lengths >> 8 * place).astype(np.uint8)
    return flat.tobytes()


def _later_gaps(is_zero: npt.NDArray[np.bool_], count: int) -> _Places:
    """The starts of all gaps but the first, which may follow one another; zeros are in gaps only."""
    (before,) = (is_zero[:-1] < is_zero[1:]).nonzero()
    if len(before) == count - 1:
        before += 1
        return before
    return is_zero.nonzero()[0][_LENGTH.size :: _LENGTH.size]


def _joined(elements: Sequence[Any], between: bytes) -> bytes:
    """All elements as one; they are texts, or bytes, or whatever has a text."""
    try:
        return between.decode().join(elements).encode()
    except TypeError:
        return between.join(map(_bytes, elements))


def _bytes(element: Any) -> bytes:
    return element if isinstance(element, bytes) else str(element).encode()


def _truncated(text: str, position: int) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "BYTES_TRUNCATED",
        f"{text}: every element is its length as 4 little-endian bytes, then its bytes; "
        f"the tensor ends inside the element at byte {position}",
    )
