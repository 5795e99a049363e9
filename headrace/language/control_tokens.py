"""Finds control tokens that are written in a text, where people must not write any."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator


class ControlTokens:
    """The texts of a tokenizer's control tokens."""

    def __init__(self, texts: Collection[str]) -> None:
        self._texts = tuple(sorted(filter(None, texts), key=len, reverse=True))
        self._starts = tuple({text[:2] for text in self._texts})
        self._pattern = re.compile("|".join(map(re.escape, self._texts)) or r"(?!)")

    def occur_in(self, text: str) -> bool:
        """Tell whether there is one in the text; the first characters of all of them tell most texts."""
        return any(start in text for start in self._starts) and bool(self._pattern.search(text))

    def split(self, text: str) -> Iterator[tuple[str, bool]]:
        """Return the text in parts, and of each whether it is a control token."""
        end = 0
        for found in self._pattern.finditer(text):
            if found.start() > end:
                yield text[end : found.start()], False
            yield found.group(), True
            end = found.end()
        if end < len(text):
            yield text[end:], False
