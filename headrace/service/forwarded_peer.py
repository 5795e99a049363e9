"""Reads the address of a caller that a gateway tells of."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

_HEADER = "x-forwarded-for"


def forwarded_peer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return whom the last gateway saw, in gRPC's form without a port; '' where it says nothing usable.

    What stands before that in the header is the caller's own word.
    """
    told: str | bytes = ""
    for key, value in metadata:
        if key == _HEADER:
            told = value
    if not told or isinstance(told, bytes):
        return ""
    last = told.rpartition(",")[2].strip()
    try:
        address = ipaddress.ip_address(last)
    except ValueError:
        return ""
    return f"ipv6:[{address}]" if address.version == 6 else f"ipv4:{address}"
