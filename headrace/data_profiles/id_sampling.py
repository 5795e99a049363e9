"""Chooses requests by their ids, the same everywhere: whoever knows the share knows which were chosen."""

from __future__ import annotations

from hashlib import blake2b

_RANGE = 2**64


def place_of(request_id: str) -> float:
    """Return a number from 0 to 1, evenly spread over ids, the same for an id wherever it is asked."""
    digest = blake2b(request_id.encode("utf-8", "surrogatepass"), digest_size=8, person=b"sample")
    return int.from_bytes(digest.digest(), "big") / _RANGE


def is_chosen(request_id: str, share: float) -> bool:
    """Return whether a request belongs to a share (0 to 1) of all; one without an id never does."""
    return bool(request_id) and place_of(request_id) < share
