"""The texts of raw BYTES tensors for the runtime, all at once where they are like most texts."""

from __future__ import annotations

import functools

import numpy as np

from headrace import bytes_elements
from headrace.bytes_elements import GAP, FoundElements, find_elements
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.wire.codec.typed_contents import PIECE_ELEMENTS, in_chunks

WIDEST_ALIKE, WIDEST = 127, 24
"""The longest texts that an array of a fixed width holds: where all have that length, and where not.

The runtime makes its own strings of one as fast as of an object array, which takes an object for each text
first. Longer ones are faster as objects.
"""

_GAP = GAP.decode()


def read_texts(raw: bytes | memoryview, count: int) -> Array | None:
    """A flat array of exactly so many texts; None where they have to be looked at one by one."""
    if bytes_elements.compiled is not None:
        read = bytes_elements.compiled.read_texts(raw, count, WIDEST_ALIKE, WIDEST, PIECE_ELEMENTS)
        if isinstance(read, tuple):
            return np.frombuffer(read[1], f"U{read[0]}")
        if read is not None:
            return np.fromiter(read, np.object_, count)
    found = find_elements(raw, count)
    return None if found is None else texts_of(found)


def texts_of(found: FoundElements) -> Array | None:
    """A flat array of texts, of a fixed width or of objects; None where one is not UTF-8.

    Elements have gaps between them, so what is no UTF-8 in one of them is none in all of them.
    """
    shortest, widest = int(found.lengths.min()), int(found.lengths.max())
    most = WIDEST_ALIKE if shortest == widest else WIDEST
    if 0 < widest <= most and found.raw.isascii():
        return _fixed_width(found, widest, alike=shortest == widest)
    try:
        return _objects(found)
    except UnicodeDecodeError:
        return None


def _fixed_width(found: FoundElements, width: int, *, alike: bool) -> Array:
    """ASCII texts, with NULs behind the shorter ones, as numpy has them."""
    count, starts = len(found.starts), found.starts
    if alike:
        rows = np.frombuffer(found.raw, np.uint8).reshape(count, -1)[:, -width:]
    else:
        whole = found.raw + bytes(width)
        windows: Array = np.ndarray((len(found.raw) - 3,), f"V{width}", whole, 4, (1,))
        rows = windows[starts].view(np.uint8).reshape(count, width)
        rows *= _beginnings(width)[found.lengths].view(np.uint8).reshape(count, width)
    return rows.astype(np.uint32).view(f"U{width}").reshape(count)


@functools.cache  # of no more than WIDEST
def _beginnings(width: int) -> Array:
    """For each length up to a width: as many ones, and zeros behind them."""
    return np.tri(width + 1, width, -1, np.uint8).view(f"V{width}").reshape(-1)


def _objects(found: FoundElements) -> Array:
    blanked, count = found.blanked(), len(found.starts)
    texts: Array = np.empty(count, np.object_)
    for piece in in_chunks(count):
        end = int(found.starts[piece.stop]) if piece.stop < count else len(blanked)
        part = blanked[int(found.starts[piece.start]) : end]
        texts[piece] = part.decode().split(_GAP)[1:]
    return texts
