"""Keeps the tallies since the monitor's first start: numbers that only grow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from headrace_monitor.domain.telemetry.tally import Tally


class VersionKey(NamedTuple):
    """One version of a model."""

    model: str
    version: int


OTHER = VersionKey("_other", 0)
"""Where versions beyond the limit are counted; no model can have this name."""


@dataclass(slots=True)
class Totals:
    """Tallies by version, over all replicas; merged reports; reports lost unsent, by replica.

    A tally that is here does not change: another takes its place. So other threads may read `versions`.
    """

    versions: dict[VersionKey, Tally] = field(default_factory=dict)
    reports: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    _heard_ns: dict[VersionKey, int] = field(default_factory=dict)
    """When each version was last heard of (those that were loaded: at the load), longest silent first."""

    def begin(self, steady_ns: int) -> None:
        """Count everybody's silence from now, by the steady time as all that follows."""
        self._heard_ns = dict.fromkeys(self.versions, steady_ns)

    def add(self, key: VersionKey, tally: Tally, steady_ns: int) -> None:
        """Count what a version did."""
        known = self.versions.get(key)
        self.versions[key] = (known or Tally()).plus(tally)
        self._heard_ns.pop(key, None)
        self._heard_ns[key] = steady_ns

    def drop_silent(self, before_ns: int, most: int | None = None) -> list[VersionKey]:
        """Forget versions not heard of since, the longest silent first, at most `most`; say which."""
        silent: list[VersionKey] = []
        for key, heard_ns in self._heard_ns.items():
            if heard_ns >= before_ns or len(silent) == most:
                break
            silent.append(key)
        for key in silent:
            del self.versions[key], self._heard_ns[key]
        return silent
