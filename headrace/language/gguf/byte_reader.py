"""Reads the values of a GGUF file's header; no claim of a length is believed beyond the file's end."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from mmap import mmap

from headrace.language.gguf.refusals import invalid

Scalar = int | float | bool | str
Value = Scalar | list[int] | list[float] | list[bool] | list[str]

MAX_ITEMS = 2**22
"""Of an array. Vocabularies have some 300,000 tokens, and twice as many merges."""
MAX_TEXT_BYTES = 2**24
_STRING, _ARRAY = 8, 9
_FORMATS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""struct's letters of the scalar types."""


@dataclass(slots=True)
class ByteReader:
    """A place in a mapped file, which moves on with each value."""

    data: mmap
    at: int = 0

    def take(self, size: int, what: str) -> int:
        """Move on by `size` bytes, and return where they begin. Raises InvalidArgument beyond the end."""
        start = self.at
        if size > len(self.data) - start:
            raise invalid(f"it ends within {what}")
        self.at = start + size
        return start

    def scalar(self, letter: str, what: str) -> int:
        """Read a whole number."""
        size = struct.calcsize("<" + letter)
        number: int = struct.unpack_from("<" + letter, self.data, self.take(size, what))[0]
        return number

    def text(self, what: str) -> str:
        """Read a string."""
        size = self.scalar("Q", what)
        if size > MAX_TEXT_BYTES:
            raise invalid(f"{what} is said to have {size} bytes, and may have {MAX_TEXT_BYTES}")
        start = self.take(size, what)
        try:
            return self.data[start : start + size].decode("utf-8")
        except UnicodeDecodeError as error:
            raise invalid(f"{what} is not UTF-8") from error

    def value(self, what: str) -> Value:
        """Read a value after its type."""
        kind = self.scalar("I", what)
        if kind == _STRING:
            return self.text(what)
        if kind == _ARRAY:
            return self._array(what)
        return self._numbers(kind, 1, what)[0]

    def _array(self, what: str) -> list[int] | list[float] | list[bool] | list[str]:
        kind, count = self.scalar("I", what), self.scalar("Q", what)
        if count > MAX_ITEMS:
            raise invalid(f"{what} is said to have {count} items, and may have {MAX_ITEMS}")
        if kind == _STRING:
            return [self.text(what) for _ in range(count)]
        return self._numbers(kind, count, what)

    def _numbers(self, kind: int, count: int, what: str) -> list[int]:
        letter = _FORMATS.get(kind)
        if letter is None:
            raise invalid(f"{what} is of type {kind}, which no value here has")
        layout = struct.Struct(f"<{count}{letter}")
        return list(layout.unpack_from(self.data, self.take(layout.size, what)))
