"""Stores the ledger in one SQLite file.

The file is in WAL mode with `synchronous=NORMAL`. A committed transaction has been written to the
operating system, so it survives the death of this process, by kill -9 too. What a power cut can take is
the last transactions before it, never the file's consistency; a second of telemetry is not worth an fsync
on every commit, as it would be if these were records of versions. One connection with an exclusive lock,
used by one thread: a second monitor on the same folder is refused.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from headrace import errors
from headrace.service.private_files import make_private
from headrace_monitor.adapters import book_entries, store_schema, window_bytes
from headrace_monitor.domain.ingestion.books import BookChanges
from headrace_monitor.domain.ledger import journal
from headrace_monitor.domain.ledger.ledger import LedgerSnapshot
from headrace_monitor.domain.ledger.totals import VersionKey
from headrace_monitor.domain.ledger.windows import WindowKey
from headrace_monitor.domain.replicas.replica_sessions import REMEMBERED, ReplicaSession, SessionKey
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.report import Series

logger = logging.getLogger(__name__)

FILE_NAME = "monitor.db"
LOCK_TIMEOUT_SECONDS = 5.0
"""As long as a monitor that is being replaced may take to let go of the file."""

RETRY_SECONDS = 1.0
_MERGED_BYTES = REMEMBERED // 8
_SESSION_COLUMNS = tuple(each.name for each in fields(ReplicaSession) if each.name != "merged")
_READ_SESSIONS = f"SELECT replica, boot_id, merged, {', '.join(_SESSION_COLUMNS)} FROM lives"  # noqa: S608 (our names)
_WRITE_SESSION = (
    f"REPLACE INTO lives (replica, boot_id, merged, {', '.join(_SESSION_COLUMNS)}) "  # noqa: S608 (our names)
    f"VALUES (?, ?, ?{', ?' * len(_SESSION_COLUMNS)})"
)

Result = TypeVar("Result")


class WindowStore:
    """The open file; every call runs on its one thread."""

    def __init__(self, database: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._database = database
        self._thread = thread

    async def save(
        self, changes: LedgerSnapshot, books: Mapping[str, BookChanges] | None = None
    ) -> None:
        """Write all changes, of the ledger and of books by their names, in one transaction.

        Raises Unavailable (TELEMETRY_STORE_UNAVAILABLE) where they cannot be written now: a full disk, say.
        """
        await _on(self._thread, lambda: _save(self._database, changes, books or {}))

    async def entries_of(self, book: str) -> list[tuple[bytes, bytes]]:
        """Read all entries of a book; those that are damaged are left out, with an error in the log."""
        return await _on(self._thread, lambda: list(book_entries.read(self._database, book)))


@asynccontextmanager
async def open_window_store(folder: Path) -> AsyncIterator[tuple[WindowStore, LedgerSnapshot]]:
    """The store in `folder` and what it holds; closed on leaving.

    A file that is damaged is renamed, with an error in the log, and a new one is begun. Raises
    FailedPrecondition: DATA_IN_USE while another process has it open, DATA_FROM_NEWER_VERSION,
    DATA_UNUSABLE where the folder cannot be written.
    """
    with ThreadPoolExecutor(1, "window-store") as thread:
        database, snapshot = await _on(thread, lambda: _open_or_begin_anew(folder))
        try:
            yield WindowStore(database, thread), snapshot
        finally:
            await _on(thread, database.close)


async def _on(thread: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(thread, work)


def _open_or_begin_anew(folder: Path) -> tuple[sqlite3.Connection, LedgerSnapshot]:
    path = folder / FILE_NAME
    with _refusals(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_private(folder, [f"{FILE_NAME}*"])
        try:
            return _open(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as damage:
            _set_aside(path, damage)
            return _open(path)


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        locked = "locked" in str(error)
        raise errors.FailedPrecondition(
            "DATA_IN_USE" if locked else "DATA_UNUSABLE",
            f"the monitor cannot use its folder {folder}: {error}; "
            + ("stop the other monitor" if locked else "make it writable")
            + " or choose another with --data",
            facts={"folder": str(folder)},
        ) from error


def _open(path: Path) -> tuple[sqlite3.Connection, LedgerSnapshot]:
    database = sqlite3.connect(path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None)
    try:
        _prepare(database)
        return database, _load(database)
    except (TypeError, ValueError) as error:  # a value that no version of this file ever held
        database.close()
        raise sqlite3.DatabaseError(str(error)) from error
    except BaseException:
        database.close()
        raise


def _prepare(database: sqlite3.Connection) -> None:
    database.text_factory = _text
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    with _transaction(database):  # takes the lock, and keeps it
        store_schema.migrate(database)
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def _set_aside(path: Path, damage: sqlite3.DatabaseError) -> None:
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    logger.error(
        "the file of telemetry is damaged; it is set aside and a new one begun",
        extra={"path": str(path), "set_aside": str(aside), "damage": str(damage)},
    )


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if database.in_transaction:  # after a failed write SQLite may have rolled back by itself
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _load(database: sqlite3.Connection) -> LedgerSnapshot:
    reports, steady_ns = _progress(database)
    opened: dict[WindowKey, int] = {}
    windows: dict[WindowKey, Mapping[Series, bytes]] = {}
    known: dict[
        Series, Series
    ] = {}  # one object for all windows of a series: keys are most of them
    for resolution, start, opened_ns, cells in database.execute(
        "SELECT resolution, start, opened_ns, cells FROM windows"
    ):
        key = WindowKey(int(resolution), int(start))
        opened[key] = int(opened_ns)
        windows[key] = {
            known.setdefault(series, series): encoded
            for series, encoded in window_bytes.unpack(cells)
        }
    reports_after = tuple(_journal(database))
    if reports_after:
        steady_ns = max(steady_ns, journal.decode(reports_after[-1]).moment.steady_ns)
    return LedgerSnapshot(
        windows,
        dict(_sessions(database)),
        dict(_totals(database)),
        reports,
        dict(database.execute("SELECT replica, reports FROM dropped")),
        dict(database.execute("SELECT resolution, start FROM floors")),
        opened,
        steady_ns,
        journal=reports_after,
    )


def _journal(database: sqlite3.Connection) -> Iterator[bytes]:
    for (report,) in database.execute("SELECT report FROM journal ORDER BY id"):
        if not journal.is_intact(report):
            raise ValueError("a report's checksum does not match")
        yield report


def _sessions(database: sqlite3.Connection) -> Iterator[tuple[SessionKey, ReplicaSession]]:
    for replica, boot_id, merged, *numbers in database.execute(_READ_SESSIONS):
        facts = dict(zip(_SESSION_COLUMNS, map(int, numbers), strict=True))
        ended = bool(facts.pop("ended"))
        known = int.from_bytes(merged, "big")
        yield SessionKey(replica, boot_id), ReplicaSession(merged=known, ended=ended, **facts)


def _totals(database: sqlite3.Connection) -> Iterator[tuple[VersionKey, bytes]]:
    for model, version, tally in database.execute("SELECT model, version, tally FROM totals"):
        yield VersionKey(model, int(version)), _intact(tally)


def _progress(database: sqlite3.Connection) -> tuple[int, int]:
    row = database.execute("SELECT merged, steady_ns FROM reports").fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _intact(tally: bytes) -> bytes:
    if not encoding.is_intact(tally):
        raise ValueError("a tally's checksum does not match")
    return tally


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _save(
    database: sqlite3.Connection, changes: LedgerSnapshot, books: Mapping[str, BookChanges]
) -> None:
    try:
        with _transaction(database):
            if changes.is_checkpoint:
                _drop(
                    database, changes
                )  # first: a window that was dropped may have been opened again
                _write(database, changes)
                database.execute("DELETE FROM journal")
            database.executemany(
                "INSERT INTO journal (report) VALUES (?)", [(entry,) for entry in changes.journal]
            )
            for name, of_book in books.items():
                book_entries.write(database, name, of_book)
    except sqlite3.OperationalError as error:
        raise errors.Unavailable(
            "TELEMETRY_STORE_UNAVAILABLE",
            f"telemetry cannot be stored: {error}; is the monitor's disk full?",
            retry_after_seconds=RETRY_SECONDS,
        ) from error


def _write(database: sqlite3.Connection, changes: LedgerSnapshot) -> None:
    database.executemany(
        "REPLACE INTO windows VALUES (?, ?, ?, ?)",
        (
            (*window, changes.opened[window], window_bytes.pack(cells))
            for window, cells in changes.windows.items()
        ),
    )
    database.executemany(
        _WRITE_SESSION,
        [(*key, *_session_row(session)) for key, session in changes.sessions.items()],
    )
    database.executemany(
        "REPLACE INTO totals VALUES (?, ?, ?)",
        [(*key, encoded) for key, encoded in changes.totals.items()],
    )
    database.executemany("REPLACE INTO dropped VALUES (?, ?)", list(changes.dropped.items()))
    database.executemany("REPLACE INTO floors VALUES (?, ?)", list(changes.window_floors.items()))
    database.execute("REPLACE INTO reports VALUES (1, ?, ?)", (changes.reports, changes.steady_ns))


def _session_row(session: ReplicaSession) -> tuple[int | bytes, ...]:
    numbers = [getattr(session, column) for column in _SESSION_COLUMNS]
    return session.merged.to_bytes(_MERGED_BYTES, "big"), *map(int, numbers)


def _drop(database: sqlite3.Connection, changes: LedgerSnapshot) -> None:
    database.executemany(
        "DELETE FROM windows WHERE resolution = ? AND start = ?", list(changes.gone_windows)
    )
    database.executemany(
        "DELETE FROM lives WHERE replica = ? AND boot_id = ?", list(changes.gone_sessions)
    )
    database.executemany(
        "DELETE FROM totals WHERE model = ? AND version = ?", list(changes.gone_totals)
    )
    database.execute("DELETE FROM dropped WHERE replica NOT IN (SELECT replica FROM lives)")
