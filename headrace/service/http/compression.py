"""Packs answers for callers who take that."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Sequence

from headrace.service.http.answers import Part

MIN_BYTES = 1024
"""Smaller answers are not packed: it would cost more than it saves."""

ON_LOOP_BYTES = 65_536
"""Larger answers are packed in a thread, so that the event loop goes on."""

WINDOW_BITS = {"deflate": zlib.MAX_WBITS, "gzip": 16 + zlib.MAX_WBITS}
"""By encoding, in the order in which they are chosen. HTTP's deflate is zlib's format (RFC 9110)."""


def chosen_encoding(accepted: str) -> str:
    """The encoding for a caller whose Accept-Encoding says this; '' for none."""
    if not accepted:
        return ""
    taken = set()
    for item in accepted.lower().split(","):
        name, _, quality = item.partition(";")
        if quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            taken.add(name.strip())
    return next((name for name in WINDOW_BITS if name in taken), "")


def packed(parts: Sequence[Part], encoding: str) -> bytes:
    """The parts, packed together."""
    packer = zlib.compressobj(wbits=WINDOW_BITS[encoding])
    return b"".join([*(packer.compress(part) for part in parts), packer.flush()])


def pack(parts: Sequence[Part], encoding: str, then: Callable[[bytes], None]) -> None:
    """Pack the parts and hand on what comes of it: at once, or on the loop later where there is much."""
    if sum(map(len, parts)) <= ON_LOOP_BYTES:
        then(packed(parts, encoding))
        return
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(then, packed(parts, encoding))

    loop.run_in_executor(None, work)
