"""Tells which script a text is written in, which says what language it may be."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

MAX_CHARACTERS = 256
"""Of a text that are looked at."""

OTHER, NO_LETTERS = "other", "no letters"

_RANGES = (
    (0x41, "latin"),
    (0x250, OTHER),
    (0x370, "greek"),
    (0x400, "cyrillic"),
    (0x530, OTHER),
    (0x590, "hebrew"),
    (0x600, "arabic"),
    (0x780, OTHER),
    (0x900, "devanagari"),
    (0x980, "bengali"),
    (0xA00, OTHER),
    (0xB80, "tamil"),
    (0xC00, OTHER),
    (0xE00, "thai"),
    (0xE80, OTHER),
    (0x1100, "hangul"),
    (0x1200, OTHER),
    (0x1E00, "latin"),
    (0x1F00, "greek"),
    (0x2000, OTHER),
    (0x3040, "kana"),
    (0x3100, OTHER),
    (0x3400, "han"),
    (0xA000, OTHER),
    (0xAC00, "hangul"),
    (0xD7B0, OTHER),
    (0x20000, "han"),
    (0x30000, OTHER),
)
"""Where each range of letters begins."""

_STARTS = [start for start, _ in _RANGES]
SCRIPTS = (*sorted({name for _, name in _RANGES if name != OTHER}), NO_LETTERS)


def script_of(text: str) -> str:
    """The script of most letters of a text; '' for an empty one. A text with kana is of that script."""
    if not text:
        return ""
    if text.isascii():
        return "latin" if any(map(str.isalpha, text[:MAX_CHARACTERS])) else NO_LETTERS
    found = Counter(
        _RANGES[bisect_right(_STARTS, ord(letter)) - 1][1]
        for letter in text[:MAX_CHARACTERS]
        if letter.isalpha()
    )
    if not found:
        return NO_LETTERS
    return "kana" if found["kana"] else found.most_common(1)[0][0]
