"""Remembers versions whose runs held up an event loop: for a while, they run on instances alone."""

from __future__ import annotations

from collections.abc import Collection

from headrace_inference.domain.clock import Clock

REST = 100
"""A version whose runs used the loop's thread for so long rests for so many times that: so they take a
hundredth of it at most."""

_REST_AFTER_WAITING = 2
"""So many times as long as they took, where others had the core or the interpreter meanwhile: on a busy
machine that happens to every run now and then, and says little of the version."""


class HeldUp:
    """The versions that rest, by their ids."""

    def __init__(self, clock: Clock) -> None:
        self._now_ns = clock.monotonic_ns
        self._until_ns: dict[int, int] = {}

    @property
    def any(self) -> bool:
        """Tell whether any version rests, or did lately."""
        return bool(self._until_ns)

    def add(self, ids: Collection[int], took_ns: int, used_ns: int) -> None:
        """Runs of these versions held the loop up for so long together, and used its thread for so long."""
        until = self._now_ns() + max(REST * used_ns, _REST_AFTER_WAITING * took_ns)
        self._until_ns |= dict.fromkeys(ids, until)

    def has(self, version_id: int) -> bool:
        """Tell whether a version rests now."""
        now = self._now_ns()
        self._until_ns = {key: until for key, until in self._until_ns.items() if until > now}
        return version_id in self._until_ns
