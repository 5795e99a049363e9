"""Takes a chunked body apart, as RFC 9112 frames it and no other way."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

from headrace.service.http.heads import MalformedHttp

_MAX_LINE = 4096
_MAX_TRAILERS = 16_384
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\0]*)?")


class _State(enum.Enum):
    SIZE = enum.auto()
    DATA = enum.auto()
    DATA_END = enum.auto()
    TRAILERS = enum.auto()
    ENDED = enum.auto()


class ChunkDecoder:
    """Decodes one body, in whatever pieces it comes."""

    def __init__(self) -> None:
        self._state = _State.SIZE
        self._left = 0
        self._line = b""
        self._trailer_bytes = 0
        self.rest = b""
        """What followed the body, once that has ended."""

    @property
    def has_ended(self) -> bool:
        """Tell whether all of the body was there."""
        return self._state is _State.ENDED

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the parts of the body in these bytes. Raises MalformedHttp."""
        position = 0
        while position < len(data) and self._state is not _State.ENDED:
            if self._state is _State.DATA:
                part = data[position : position + self._left]
                position += len(part)
                self._left -= len(part)
                if not self._left:
                    self._state = _State.DATA_END
                yield part
            else:
                position = self._take_line(data, position)
        self.rest = data[position:] if self.has_ended else b""

    def _take_line(self, data: bytes, position: int) -> int:
        """Take a line, or what is there of it; return where it ends."""
        end = data.find(b"\n", position)
        after = len(data) if end < 0 else end + 1
        self._line += data[position:after]
        if len(self._line) > _MAX_LINE:
            raise MalformedHttp("a line of the chunked body is too long")
        if end < 0:
            if self._state is _State.SIZE:
                self._check_begun()
            return after
        line, self._line = self._line, b""
        if not line.endswith(b"\r\n"):
            raise MalformedHttp("a line of the chunked body does not end with CR LF")
        self._take(line[:-2])
        return after

    def _check_begun(self) -> None:
        begun = self._line.removesuffix(b"\r")
        if begun and _SIZE.fullmatch(begun) is None:
            raise _no_size(begun)

    def _take(self, line: bytes) -> None:
        if self._state is _State.SIZE:
            found = _SIZE.fullmatch(line)
            if found is None:
                raise _no_size(line)
            self._left = int(found[1], 16)
            self._state = _State.DATA if self._left else _State.TRAILERS
        elif self._state is _State.DATA_END:
            if line:
                raise MalformedHttp("a chunk of the body is longer than it says")
            self._state = _State.SIZE
        else:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > _MAX_TRAILERS:
                raise MalformedHttp("the trailers of the chunked body are too long")
            if not line:
                self._state = _State.ENDED


def check_begun(data: bytes) -> None:
    """Look at the first line of a body, as far as it is there. Raises MalformedHttp."""
    for _ in ChunkDecoder().feed(data[: data.find(b"\n") + 1] or data[:_MAX_LINE]):
        pass


def _no_size(line: bytes) -> MalformedHttp:
    return MalformedHttp(f"the size of a chunk is a hexadecimal number, not {line[:40]!r}")
