"""Decides how many of the newest changes stay in the log: so many, and so many bytes of them."""

from __future__ import annotations

from collections import deque

LEAST = 64
"""So many stay, however large they are: watchers that are about to read them do not start again."""


class LogBudget:
    """Follows the sizes of changes as they are made.

    A change of a record has it before and after. A small change of a large record, again and again, would
    fill the server's memory long before there are too many changes.
    """

    def __init__(self, most_changes: int, most_bytes: int) -> None:
        self._most_changes = most_changes
        self._most_bytes = most_bytes
        self._sizes: deque[int] = deque(maxlen=most_changes)
        self._bytes = 0

    def kept_with(self, size: int) -> int:
        """How many changes stay, with a next one of this size. Those before the first are not known."""
        if len(self._sizes) == self._most_changes:
            self._bytes -= self._sizes[0]  # which goes by itself
        self._sizes.append(size)
        self._bytes += size
        if self._bytes <= self._most_bytes or len(self._sizes) <= LEAST:
            return self._most_changes
        while self._bytes > self._most_bytes and len(self._sizes) > LEAST:
            self._bytes -= self._sizes.popleft()
        return len(self._sizes)
