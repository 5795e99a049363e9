"""The frames of HTTP/2 (RFC 9113, section 4 and 6) as bytes."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_BYTES = 9
MAX_FRAME_BYTES = 16_384
"""What every peer takes in one frame, and what we take."""
DEFAULT_WINDOW = 65_535
MAX_WINDOW = 2**31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

HEADER_TABLE_SIZE = 0x1
INITIAL_WINDOW_SIZE = 0x4
MAX_HEADER_LIST_SIZE = 0x6

HEADER = Struct(">IBI")
"""Length and type together, flags, stream."""
_NUMBER = Struct(">I")
_SETTING = Struct(">HI")
_TWO_NUMBERS = Struct(">II")


class ErrorCode(IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB


class ConnectionFailed(Exception):
    """The peer breaks the protocol: the connection ends."""

    def __init__(self, code: ErrorCode, why: str) -> None:
        super().__init__(why)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes | memoryview = b"") -> bytes:
    """A frame."""
    return b"".join((HEADER.pack(len(payload) << 8 | kind, flags, stream), payload))


def settings(values: dict[int, int]) -> bytes:
    """Say what the other side has to keep to."""
    return frame(SETTINGS, 0, 0, b"".join([_SETTING.pack(*item) for item in values.items()]))


def window_update(stream: int, size: int) -> bytes:
    """Let the other side send so many bytes more; 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, _NUMBER.pack(size))


def reset(stream: int, code: int) -> bytes:
    """End a stream."""
    return frame(RST_STREAM, 0, stream, _NUMBER.pack(code))


def goaway(last_stream: int, code: int) -> bytes:
    """Take no more streams than up to this one."""
    return frame(GOAWAY, 0, 0, _TWO_NUMBERS.pack(last_stream, code))


def header_frames(stream: int, block: bytes, *, ended: bool) -> bytes:
    """A header block in as many frames as it needs."""
    parts = [
        block[start : start + MAX_FRAME_BYTES] for start in range(0, len(block), MAX_FRAME_BYTES)
    ] or [b""]
    frames = []
    for place, part in enumerate(parts):
        flags = END_HEADERS if place == len(parts) - 1 else 0
        if place == 0:
            frames.append(frame(HEADERS, flags | (END_STREAM if ended else 0), stream, part))
        else:
            frames.append(frame(CONTINUATION, flags, stream, part))
    return b"".join(frames)


def read_settings(payload: bytes) -> dict[int, int]:
    """Read settings. Raises ConnectionFailed."""
    if len(payload) % _SETTING.size:
        raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "settings of a wrong size")
    return dict(_SETTING.iter_unpack(payload))


def read_number(payload: bytes) -> int:
    """Read the one number of a frame. Raises ConnectionFailed."""
    if len(payload) != _NUMBER.size:
        raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "a frame of a wrong size")
    number: int = _NUMBER.unpack(payload)[0]
    return number


def without_padding(payload: bytes, flags: int) -> bytes:
    """Cut padding off. Raises ConnectionFailed."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]


def without_priority(payload: bytes, flags: int) -> bytes:
    """Cut a priority off, which nobody heeds. Raises ConnectionFailed."""
    if not flags & WITH_PRIORITY:
        return payload
    if len(payload) < 5:
        raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "headers too short for their priority")
    return payload[5:]
