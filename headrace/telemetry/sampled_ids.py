"""Decides by its id alone whether a request is sampled: whoever knows both id and share knows."""

from __future__ import annotations

import zlib

_MASK = 0xFFFFFFFF


def is_sampled(request_id: str, share: float) -> bool:
    """Return whether a request with this id is among the share, from 0 to 1, of those that are kept.

    It is the same for ever and everywhere. Whoever is in a share is in every larger one; a request without
    an id is in none.
    """
    if not request_id:
        return False
    return _place(request_id) < share * (_MASK + 1)


def _place(request_id: str) -> int:
    """The place of an id among all, from 0 up to 2^32: ids that differ by a digit lie far apart.

    A checksum tells ids apart, and two multiplications spread them (a quarter of the time of a digest).
    """
    number = zlib.crc32(request_id.encode(errors="backslashreplace"))
    number = ((number ^ number >> 16) * 0x85EBCA6B) & _MASK
    number = ((number ^ number >> 13) * 0xC2B2AE35) & _MASK
    return number ^ number >> 16
