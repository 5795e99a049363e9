"""What is kept beside the ledger and stored with it: profiles, predictions and labels, alerts.

A book takes what it needs of each report, once, as the ledger does, and others may change it through
the ingestion. Its changes are stored in the transaction of the reports: after a restart both are there, or
none is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.telemetry.report import Report


class BookChanges(NamedTuple):
    """Entries of a book that were set since they were last stored, and the keys of those that are gone."""

    entries: Mapping[bytes, bytes]
    gone: Collection[bytes] = ()


class Book(Protocol):
    """Keeps entries, of keys and values that it alone reads. All but `name` is called in one thread."""

    @property
    def name(self) -> str:
        """The name under which its entries are stored; it never changes."""

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take up what was stored, once, before anything else."""

    def merge(self, report: Report, moment: Moment) -> None:
        """Count what a report has for it; no report comes twice, its times are the monitor's."""

    def changes(self, moment: Moment) -> BookChanges:
        """Drop what is too old, and give all that differs from what is stored."""

    def mark_stored(self) -> None:
        """All that `changes` gave is stored, and nothing was merged since."""
