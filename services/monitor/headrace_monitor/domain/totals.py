"""What was counted since the monitor's first start: numbers that only grow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from headrace_monitor.domain.telemetry import Tally, VersionTelemetry

MAX_VERSIONS = 2000
"""More would make the scrape of a metric with 30 buckets larger than scrapers take in their ten seconds."""


class VersionKey(NamedTuple):
    """One version of a model."""

    model: str
    version: int


OTHER = VersionKey("_other", 0)
"""Where versions beyond the limit are counted; no model can have this name."""


@dataclass(slots=True)
class Totals:
    """Tallies by version, over all replicas; merged reports; reports lost unsent, by replica."""

    versions: dict[VersionKey, Tally] = field(default_factory=dict)
    reports: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def add(self, telemetry: VersionTelemetry) -> VersionKey:
        """Count what a version did, and say under which key."""
        key = VersionKey(telemetry.model, telemetry.version)
        if key not in self.versions and len(self.versions) >= MAX_VERSIONS:
            key = OTHER
        self.versions.setdefault(key, Tally()).add(telemetry.tally)
        return key
