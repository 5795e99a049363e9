"""Keeps the newest requests that have an id, of each version: those to look at where something is off.

Of the sample of requests that replicas tell the answers of. They are in memory alone, at most 8 MB.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence

from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ingestion.books import BookChanges
from headrace_monitor.domain.telemetry.prediction import Prediction
from headrace_monitor.domain.telemetry.report import Report

KEPT_REQUESTS = 200
"""Of each version."""
KEPT_VERSIONS = 100
"""Beyond them those go that were told of longest ago."""
MAX_SHOWN = 100

_Version = tuple[str, int]


class RecentRequests:
    """A book that stores nothing. It is changed in the thread of the reports, and asked in any."""

    name = "recent_requests"

    def __init__(self) -> None:
        self._versions: OrderedDict[_Version, deque[Prediction]] = OrderedDict()

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Nothing was stored."""

    def merge(self, report: Report, moment: Moment) -> None:  # noqa: ARG002  # nothing grows old
        """Take the first row of each request."""
        for told in report.told.predictions:
            if told.row == 0:
                self._kept(told.model, told.version).append(told)

    def changes(self, moment: Moment) -> BookChanges:  # noqa: ARG002
        """Nothing is stored."""
        return BookChanges({})

    def mark_stored(self) -> None:
        """Nothing was."""

    def of(self, model: str, version: int, part: str, since_ns: int) -> Sequence[Prediction]:
        """The newest requests of a version (0: of all), in a slice ('': in all), since a time."""
        known = [
            list(self._versions.get(key, ()))  # at once: it goes on growing
            for key in list(self._versions)
            if key[0] == model and version in (0, key[1])
        ]
        fitting = [
            each
            for requests in known
            for each in requests
            if each.time_ns >= since_ns and (not part or part in each.slices)
        ]
        return sorted(fitting, key=lambda each: -each.time_ns)[:MAX_SHOWN]

    def _kept(self, model: str, version: int) -> deque[Prediction]:
        key = (model, version)
        kept = self._versions.get(key)
        if kept is None:
            kept = self._versions[key] = deque(maxlen=KEPT_REQUESTS)
            if len(self._versions) > KEPT_VERSIONS:
                self._versions.popitem(last=False)
        else:
            self._versions.move_to_end(key)
        return kept
