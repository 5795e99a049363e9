"""Reading the bytes of a tar that nobody trusts: forward only, within a bound, and to their very end."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_SKIP_BYTES = 1 << 20
MAX_READ_BYTES = 16 << 20
"""Of one piece. Files are read in smaller ones; what asks for more is a header that claims to be longer."""

_PACKED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


class ForwardReader:
    """A file for `tarfile` that goes forward only: all of it is read, so every checksum is compared.

    A tar that ends early raises EOFError, for one that is whole ends with a block of zeros, which
    `tarfile` reads and stops at. Python's own loops over headers take an end of the file for empty blocks.
    """

    def __init__(self, source: IO[bytes], count: Callable[[int], None]) -> None:
        self._source = source
        self._count = count
        self._position = 0
        self.last = b""
        """What was read last."""

    def tell(self) -> int:
        """Return where the next byte is."""
        return self._position

    def seekable(self) -> bool:
        """Forward at least."""
        return True

    def seek(self, position: int, whence: int = 0) -> int:
        """Go there by reading. Raises ValueError for a place that was read already."""
        if whence or position < self._position:
            raise ValueError("an entry begins inside another")
        while self._position < position:
            self.read(min(_SKIP_BYTES, position - self._position))
        return position

    def read(self, size: int) -> bytes:
        """So many bytes. Raises EOFError, ValueError, and what `count` raises."""
        if not 0 <= size <= MAX_READ_BYTES:
            raise ValueError(f"a header claims to have {size} bytes")
        self.last = self._source.read(size)
        self._position += len(self.last)
        self._count(len(self.last))
        if len(self.last) != size:
            raise EOFError("it ends early: it was cut, or it has no end mark")
        return self.last

    def finish(self) -> None:
        """Read what is left. Raises ValueError where the tar did not end with its mark."""
        if any(self.last):
            raise ValueError("an entry is followed by neither a header nor an end mark")
        while rest := self._source.read(_SKIP_BYTES):
            self._count(len(rest))


@contextmanager
def open_tar_bytes(file: Path, count: Callable[[int], None]) -> Iterator[ForwardReader]:
    """The bytes of a tar, unpacked on the way where they are packed with gzip, bzip2 or xz."""
    with file.open("rb") as raw:
        begin = raw.read(6)
        raw.seek(0)
        unpack = next((each for mark, each in _PACKED.items() if begin.startswith(mark)), None)
        if unpack is None:
            yield ForwardReader(raw, count)
            return
        with unpack(raw) as source:
            yield ForwardReader(source, count)
