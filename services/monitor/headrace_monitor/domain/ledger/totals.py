"""Keeps the tallies since the monitor's first start: numbers that only grow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.cardinality import KnownKeys
from headrace_monitor.domain.telemetry.tally import Tally

ADDED_TOGETHER = 32
"""Tallies of one version that wait to be added up: all at once costs a tenth of one by one."""


class VersionKey(NamedTuple):
    """One version of a model."""

    model: str
    version: int


OTHER = VersionKey("_other", 0)
"""Where versions beyond the limit are counted; no model can have this name."""


class Totals:
    """Tallies by version, over all replicas; merged reports; reports lost unsent, by replica.

    One thread adds; any may read `versions`.
    """

    def __init__(
        self, tallies: Mapping[VersionKey, bytes], reports: int, dropped: Mapping[str, int]
    ) -> None:
        self.reports = reports
        self.dropped = dict(dropped)
        self._tallies = {key: [encoded] for key, encoded in tallies.items()}
        """Of each version encoded tallies, which add up to its total."""
        self._known = {
            key: KnownKeys(encoding.values_of(encoded)) for key, encoded in tallies.items()
        }
        self._heard_ns: dict[VersionKey, int] = {}
        """When each version was last heard of (at the load, of those loaded), longest silent first."""

    def begin(self, steady_ns: int) -> None:
        """Count everybody's silence from now, by the steady time as all that follows."""
        self._heard_ns = dict.fromkeys(self._tallies, steady_ns)

    def __contains__(self, key: VersionKey) -> bool:
        """True for a version that counted something."""
        return key in self._tallies

    def __len__(self) -> int:
        """The number of versions."""
        return len(self._tallies)

    @property
    def versions(self) -> dict[VersionKey, Tally]:
        """Add up and decode the totals of all versions, as they are now."""
        tallies = [(key, tuple(parts)) for key, parts in list(self._tallies.items())]
        return {key: encoding.decode_sum(parts) for key, parts in tallies}

    def known(self, key: VersionKey) -> KnownKeys:
        """The labels and sizes that a version's totals have."""
        return self._known.get(key) or KnownKeys({})

    def add(self, key: VersionKey, encoded: bytes, known: KnownKeys, steady_ns: int) -> None:
        """Count what a version did, whose labels are `known`."""
        parts = self._tallies.setdefault(key, [])
        parts.append(encoded)
        if len(parts) > ADDED_TOGETHER:
            self.encoded(key)
        self._known[key] = known
        self._heard_ns.pop(key, None)
        self._heard_ns[key] = steady_ns

    def encoded(self, key: VersionKey) -> bytes:
        """The total of a version, encoded."""
        total = encoding.sum_of(self._tallies[key])
        self._tallies[key] = [total]  # another list: somebody may read this one
        return total

    def drop_silent(self, before_ns: int, most: int | None = None) -> list[VersionKey]:
        """Forget versions not heard of since, the longest silent first, at most `most`; say which."""
        silent: list[VersionKey] = []
        for key, heard_ns in self._heard_ns.items():
            if heard_ns >= before_ns or len(silent) == most:
                break
            silent.append(key)
        self._forget(silent)
        return silent

    def _forget(self, versions: Iterable[VersionKey]) -> None:
        for key in versions:
            del self._tallies[key], self._heard_ns[key], self._known[key]
