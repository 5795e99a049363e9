"""Reads when a certificate is valid, without a package for certificates: every server tells it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s+(.+?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION, _UTC_TIME = 0x30, 0xA0, 0x17
_LONG_FORM = 0x80
_CENTURY_SPLIT = 50
"""Years of two digits from here on are of the last century (RFC 5280, 4.1.2.5.1)."""


@dataclass(frozen=True, slots=True)
class Validity:
    """When a certificate is valid, in seconds since 1970."""

    not_before: float
    not_after: float


def validity_of(pem: bytes) -> Validity:
    """The validity of the first certificate in PEM. Raises ValueError where there is none."""
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("there is no certificate in it")
    try:
        return _from_der(base64.b64decode(found[1]))
    except (ValueError, IndexError) as error:
        raise ValueError(f"its first certificate cannot be read: {error}") from error


def _from_der(der: bytes) -> Validity:
    """RFC 5280, 4.1: version, serial number, algorithm and issuer stand before the validity."""
    certificate = _element(der, 0, _SEQUENCE)
    signed = _element(der, certificate[0], _SEQUENCE)
    start = signed[0]
    if der[start] == _VERSION:
        start = _element(der, start, _VERSION)[1]
    for _ in ("serial number", "algorithm", "issuer"):
        start = _element(der, start)[1]
    first, _ = _element(der, start, _SEQUENCE)
    _, second = _element(der, first)
    return Validity(_time(der, first), _time(der, second))


def _element(der: bytes, start: int, tag: int | None = None) -> tuple[int, int]:
    """Where the contents of the element at `start` begin and end. Raises ValueError, IndexError."""
    if tag is not None and der[start] != tag:
        raise ValueError(f"element {der[start]:#x} where {tag:#x} belongs")
    length, begin = der[start + 1], start + 2
    if length >= _LONG_FORM:
        begin += length - _LONG_FORM
        length = int.from_bytes(der[start + 2 : begin], "big")
    if begin + length > len(der):
        raise ValueError("it ends too early")
    return begin, begin + length


def _time(der: bytes, start: int) -> float:
    begin, end = _element(der, start)
    text = der[begin:end].decode("ascii")
    if der[start] == _UTC_TIME:
        text = ("19" if int(text[:2]) >= _CENTURY_SPLIT else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
