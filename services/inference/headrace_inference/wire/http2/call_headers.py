"""Calls of gRPC as headers of HTTP/2: methods, deadlines and metadata in; statuses out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from urllib.parse import quote_from_bytes

import grpc

from headrace import status
from headrace.errors import HeadraceError
from headrace_inference.wire.http2.stream import Header

Metadata = tuple[tuple[str, str | bytes], ...]

ENCODINGS = b"identity, deflate, gzip"
"""The compressions of messages that are read."""

OPENING: Sequence[Header] = (
    (b":status", b"200"),
    (b"content-type", b"application/grpc"),
    (b"grpc-accept-encoding", ENCODINGS),
)

_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_OF_TRANSPORT = frozenset(
    (b"te", b"content-type", b"grpc-timeout", b"grpc-encoding", b"grpc-accept-encoding")
)
_PLAIN = "".join(map(chr, set(range(0x20, 0x7F)) - {ord("%")}))


def value_of(headers: Iterable[Header], name: bytes) -> bytes:
    """The value of a header, b"" where it is not there."""
    return next((value for key, value in headers if key == name), b"")


def seconds_left(headers: Iterable[Header]) -> float | None:
    """How long the caller waits; None without a limit. Raises ValueError."""
    text = value_of(headers, b"grpc-timeout")
    if not text:
        return None
    digits, unit = text[:-1], _UNITS.get(text[-1:])
    if unit is None or not digits.isdigit() or len(digits) > 8:
        raise ValueError(text)
    return int(digits) * unit


def metadata_of(headers: Iterable[Header]) -> Metadata:
    """What the caller sent beside its request."""
    return tuple(
        (key.decode("latin-1"), _metadata_value(key, value))
        for key, value in headers
        if not key.startswith(b":") and key not in _OF_TRANSPORT
    )


def _metadata_value(key: bytes, value: bytes) -> str | bytes:
    if not key.endswith(b"-bin"):
        return value.decode("latin-1")
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4))
    except binascii.Error:
        return value


def ok_trailers() -> Sequence[Header]:
    """Say that all went well."""
    return ((b"grpc-status", b"0"),)


def error_trailers(error: HeadraceError) -> Sequence[Header]:
    """Say what went wrong, with its details."""
    packed = [
        (key.encode(), base64.b64encode(value).rstrip(b"="))
        for key, value in status.trailing_metadata(error)
    ]
    return (*status_trailers(status.grpc_code(error), error.message), *packed)


def status_trailers(code: grpc.StatusCode, message: str) -> Sequence[Header]:
    """Say with which status a call ends."""
    number: int = code.value[0]
    text = quote_from_bytes(message.encode(), safe=_PLAIN).encode()
    return ((b"grpc-status", str(number).encode()), (b"grpc-message", text))
