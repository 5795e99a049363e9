"""Headers that travel with a request as its parameters: those whose names a pattern matches."""

from __future__ import annotations

import re
from collections.abc import Iterable


class HeaderPattern:
    """Matches whole names whatever their case; an empty pattern matches none."""

    def __init__(self, pattern: str = "") -> None:
        self._pattern = re.compile(pattern, re.IGNORECASE) if pattern else None

    @property
    def matches_any(self) -> bool:
        """Tell whether there are headers that it may match."""
        return self._pattern is not None

    def forwarded(self, headers: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
        """The headers to forward, by lower-case name; those of bytes never are."""
        if self._pattern is None:
            return {}
        return {
            name.lower(): value
            for name, value in headers
            if isinstance(value, str) and self._pattern.fullmatch(name)
        }
