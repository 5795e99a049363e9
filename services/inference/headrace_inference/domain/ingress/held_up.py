"""Remembers versions whose runs held up an event loop: for a while, they run on instances alone."""

from __future__ import annotations

from collections.abc import Collection

from headrace_inference.domain.clock import Clock

REST = 100
"""A version that held the loop up rests for so many times that long: so it takes a hundredth at most."""


class HeldUp:
    """The versions that rest, by their ids."""

    def __init__(self, clock: Clock) -> None:
        self._now_ns = clock.monotonic_ns
        self._until_ns: dict[int, int] = {}

    @property
    def any(self) -> bool:
        """Tell whether any version rests, or did lately."""
        return bool(self._until_ns)

    def add(self, ids: Collection[int], took_ns: int) -> None:
        """Runs of these versions held the loop up for so long together."""
        until = self._now_ns() + REST * took_ns
        self._until_ns |= dict.fromkeys(ids, until)

    def has(self, version_id: int) -> bool:
        """Tell whether a version rests now."""
        now = self._now_ns()
        self._until_ns = {key: until for key, until in self._until_ns.items() if until > now}
        return version_id in self._until_ns
