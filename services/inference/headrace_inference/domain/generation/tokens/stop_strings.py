"""Finds stop strings in a text that comes in pieces."""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Passes a text on up to the first stop string in it, wherever the borders of its pieces lie.

    The first to be complete wins; of those that end together the longest. What may become a stop string
    is held back until that is decided, and no more than that.
    """

    __slots__ = ("_held", "_included", "_passed", "_strings")

    def __init__(self, strings: Sequence[str], *, included: bool = False) -> None:
        self._strings = tuple(strings)
        self._included = included
        self._held = ""
        self._passed = 0
        """The characters at the start of what is held that may not complete a stop string."""

    def push(self, text: str, *, searched: bool = True) -> tuple[str, str | None]:
        """Return what may be sent now, and the stop string that ends the text.

        Where the text is not `searched`, no stop string ends in it.
        """
        if not self._strings:
            return text, None
        joined = self._held + text
        if not searched:
            self._passed = len(joined)
        elif (found := self._first(joined)) is not None:
            end, stop = found
            self._held = ""
            return joined[: end if self._included else end - len(stop)], stop
        sent = len(joined) - self._pending(joined)
        self._held, self._passed = joined[sent:], max(0, self._passed - sent)
        return joined[:sent], None

    def rest(self) -> str:
        """Return what is held back, when the text ends otherwise."""
        held, self._held = self._held, ""
        return held

    def _first(self, joined: str) -> tuple[int, str] | None:
        """Where the first stop string ends, and which it is."""
        found = []
        for stop in self._strings:
            place = joined.find(stop, max(0, self._passed - len(stop) + 1))
            if place >= 0:
                found.append((place + len(stop), -len(stop), stop))
        end, _, stop = min(found, default=(0, 0, ""))
        return (end, stop) if found else None

    def _pending(self, joined: str) -> int:
        """The length of the longest end of the text that a stop string may begin with."""
        longest = min(max(map(len, self._strings)) - 1, len(joined))
        for length in range(longest, 0, -1):
            if any(len(stop) > length and joined.endswith(stop[:length]) for stop in self._strings):
                return length
        return 0
