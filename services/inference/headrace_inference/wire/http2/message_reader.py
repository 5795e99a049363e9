"""Cuts the data of a stream into the messages of gRPC: five bytes, then so many of a message."""

from __future__ import annotations

import zlib
from struct import Struct

from headrace.errors import HeadraceError, Internal, InvalidArgument
from headrace_inference.domain.ingress.limits import IngressLimits

_PREFIX = Struct(">BI")
_WINDOW_BITS = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


def is_known(encoding: bytes) -> bool:
    """Tell whether messages of a compression can be read."""
    return encoding in (b"", b"identity") or encoding in _WINDOW_BITS


class MessageReader:
    """Keeps what came and was not taken. Errors end the stream."""

    def __init__(self, limits: IngressLimits, encoding: bytes = b"") -> None:
        self._limits = limits
        self._encoding = encoding
        self._parts: list[bytes] = []
        self._data = b""
        self._size = 0
        self._wanted = _PREFIX.size
        """So many bytes have to be here for the next step."""
        self._position = 0

    @property
    def is_empty(self) -> bool:
        """Tell whether all that came was taken."""
        return self._size == self._position

    def whole(self, data: bytes) -> bytes | None:
        """The message that these data are, where they are just one, and nothing came before them."""
        size = len(data) - _PREFIX.size
        if self._size != self._position or size < 0 or size > self._limits.max_message_bytes:
            return None
        return data[_PREFIX.size :] if _PREFIX.unpack_from(data) == (0, size) else None

    def add(self, data: bytes) -> None:
        """Keep what came."""
        self._parts.append(data)
        self._size += len(data)

    def take(self) -> bytes | None:
        """The next message; None where it is not here yet. Raises HeadraceError."""
        start = self._position + _PREFIX.size
        if self._size < self._position + self._wanted:
            return None
        if self._parts:
            self._join()
            start = _PREFIX.size
        flag, size = _PREFIX.unpack_from(self._data, self._position)
        if size > self._limits.max_message_bytes:
            raise self._limits.too_large(size)
        end = start + size
        if self._size < end:
            self._wanted = _PREFIX.size + size
            return None
        self._wanted = _PREFIX.size
        self._position = end
        message = self._data[start:end]
        return message if not flag else self._unpacked(flag, message)

    def _join(self) -> None:
        if self._position < len(self._data):
            self._parts.insert(0, self._data[self._position :])
        self._data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._size, self._position = len(self._data), 0

    def _unpacked(self, flag: int, message: bytes) -> bytes:
        window_bits = _WINDOW_BITS.get(self._encoding)
        if flag != 1 or window_bits is None:
            raise Internal("MALFORMED_REQUEST", "a message is packed in no way that the call names")
        most = min(self._limits.max_message_bytes, 2**31 - 1)
        unpacking = zlib.decompressobj(window_bits)
        try:
            unpacked = unpacking.decompress(message, most)
        except zlib.error as error:
            raise _not_packed(self._encoding) from error
        if unpacking.unconsumed_tail:
            raise self._limits.too_large(most + 1)
        if not unpacking.eof:
            raise _not_packed(self._encoding)
        return unpacked


def _not_packed(encoding: bytes) -> HeadraceError:
    return InvalidArgument(
        "MALFORMED_REQUEST",
        f"the message says that it is packed by {encoding.decode()}, and its bytes are not",
    )
