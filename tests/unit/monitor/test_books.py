"""Books: what is kept beside the ledger counts once, and is stored with the reports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headrace import errors
from headrace_monitor.adapters.window_store import FILE_NAME, open_window_store
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ingestion.books import BookChanges
from headrace_monitor.domain.ingestion.ingestion import Ingestion, open_ingestion
from headrace_monitor.domain.ledger.ledger import Ledger
from headrace_monitor.domain.ledger.windows import resolutions
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Report

NOW = 1_000_000 * NANOSECONDS


class ReportsByReplica:
    """A book that counts reports by replica, and whose counts others may set."""

    name = "reports"

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._changed: set[str] = set()
        self._gone: set[str] = set()

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        self.counts = {key.decode(): int(value) for key, value in entries}

    def merge(self, report: Report, moment: Moment) -> None:
        self.set(report.replica, self.counts.get(report.replica, 0) + 1)

    def set(self, replica: str, count: int) -> int:
        if count < 0:
            raise errors.InvalidArgument("INVALID_COUNT", "a count must not be negative")
        self.counts[replica] = count
        self._changed.add(replica)
        self._gone.discard(replica)
        return count

    def forget(self, replica: str) -> None:
        del self.counts[replica]
        self._changed.discard(replica)
        self._gone.add(replica)

    def changes(self, moment: Moment) -> BookChanges:
        entries = {each.encode(): b"%d" % self.counts[each] for each in self._changed}
        return BookChanges(entries, [each.encode() for each in self._gone])

    def mark_stored(self) -> None:
        self._changed, self._gone = set(), set()


@asynccontextmanager
async def running(folder: Path, *books: ReportsByReplica) -> AsyncIterator[Ingestion]:
    """An ingestion over a real file, with books beside the ledger."""
    moment = Moment(NOW, NOW)
    async with open_window_store(folder) as (store, snapshot):
        ledger = Ledger(resolutions(1), 2**20, snapshot, moment)
        async with open_ingestion(ledger, store, lambda: moment, books=books) as ingestion:
            yield ingestion


def report(replica: str, sequence: int) -> Report:
    """A report of nothing."""
    return Report(replica, "boot", sequence, NOW - NANOSECONDS, NOW)


async def test_a_report_counts_once_in_a_book_over_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path, ReportsByReplica()) as ingestion:
        for sequence in (1, 2, 2, 1):
            await ingestion.accept(report("a", sequence))
    book = ReportsByReplica()
    async with running(tmp_path, book) as ingestion:
        await ingestion.accept(report("a", 2))
        await ingestion.accept(report("b", 1))
    assert {"a": 2, "b": 1} == book.counts


async def test_a_change_is_stored_before_its_caller_knows_and_what_is_gone_stays_gone(
    tmp_path: Path,
) -> None:
    first = ReportsByReplica()
    async with running(tmp_path, first) as ingestion:
        await ingestion.accept(report("a", 1))
        assert 7 == await ingestion.apply(lambda: first.set("b", 7))
        await ingestion.apply(lambda: first.forget("a"))
        with pytest.raises(errors.InvalidArgument):
            await ingestion.apply(lambda: first.set("c", -1))
    second = ReportsByReplica()
    async with running(tmp_path, second):
        assert {"b": 7} == second.counts


async def test_a_damaged_entry_is_left_out_and_the_others_are_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, ReportsByReplica()) as ingestion:
        for replica in ("here-a", "here-b"):
            await ingestion.accept(report(replica, 1))
    import sqlite3

    database = sqlite3.connect(tmp_path / FILE_NAME)
    database.execute("UPDATE books SET value = x'00' WHERE key = ?", (b"here-a",))
    database.commit()
    database.close()
    book = ReportsByReplica()
    async with running(tmp_path, book):
        assert {"here-b": 1} == book.counts
    assert "damaged, and left out" in caplog.text


class FailsAtOdd(ReportsByReplica):
    """A book with a fault: replicas with odd names are too much for it."""

    def merge(self, report: Report, moment: Moment) -> None:
        if report.replica.startswith("odd"):
            raise OverflowError("a replica is odd")
        super().merge(report, moment)


class FailsToStore(ReportsByReplica):
    """A book with a fault: it never gives what it holds."""

    name = "unstorable"

    def changes(self, moment: Moment) -> BookChanges:
        raise OverflowError("a count is too large")


async def test_a_book_that_fails_costs_no_report_and_no_other_book(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book, sick = FailsAtOdd(), FailsToStore()
    async with running(tmp_path, book, sick) as ingestion:
        for replica in ("odd", "a", "odd-too", "b"):
            assert 1 == await ingestion.accept(report(replica, 1))
        with pytest.raises(ZeroDivisionError):
            await ingestion.apply(lambda: 1 // 0)
        assert 3 == await ingestion.apply(lambda: book.set("c", 3))
        assert 2 == ingestion.shelf.faults["reports"]
    assert "a book failed" in caplog.text
    again = ReportsByReplica()
    async with running(tmp_path, again):
        assert {"a": 1, "b": 1, "c": 3} == again.counts
