"""Keeps the newest traced requests of each version until they are exported; in memory alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ingestion.books import BookChanges
from headrace_monitor.domain.telemetry.exemplar import Exemplar
from headrace_monitor.domain.telemetry.report import Report

KEPT = 8
"""Of each version."""
KEPT_VERSIONS = 1000


class RecentExemplars:
    """A book that stores nothing. It is changed in the thread of the reports, and asked in any."""

    name = "recent_exemplars"

    def __init__(self) -> None:
        self._versions: dict[tuple[str, int], list[Exemplar]] = {}

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Nothing was stored."""

    def merge(self, report: Report, moment: Moment) -> None:  # noqa: ARG002  # nothing grows old
        """Take those of a report."""
        versions = self._versions
        for each in report.exemplars:
            key = (each.model, each.version)
            if key in versions or len(versions) < KEPT_VERSIONS:
                versions[key] = [*versions.get(key, ()), each][-KEPT:]

    def changes(self, moment: Moment) -> BookChanges:  # noqa: ARG002
        """Nothing is stored."""
        return BookChanges({})

    def mark_stored(self) -> None:
        """Nothing was."""

    def take(self) -> Mapping[tuple[str, int], Sequence[Exemplar]]:
        """Those that came since this was last called, by model and version."""
        taken, self._versions = self._versions, {}
        return taken
