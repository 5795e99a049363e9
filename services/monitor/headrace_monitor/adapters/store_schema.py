"""The schema of the monitor's file, and the steps that bring an older file to it.

All steps that a file needs run in one transaction: where one fails, or the process ends, the file is as it
was, and the older monitor still reads it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable

from headrace import errors
from headrace_monitor.adapters import window_bytes
from headrace_monitor.domain.telemetry import encoding, first_encoding, second_encoding
from headrace_monitor.domain.telemetry.report import Series

logger = logging.getLogger(__name__)

_BEGINNING = """
CREATE TABLE cells (
  resolution INTEGER, start INTEGER, model TEXT, version INTEGER, replica TEXT, tally BLOB NOT NULL,
  PRIMARY KEY (resolution, start, model, version, replica)
);
CREATE TABLE lives (
  replica TEXT, boot_id TEXT, highest INTEGER NOT NULL, merged BLOB NOT NULL,
  first_end_ns INTEGER NOT NULL, last_end_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL,
  dropped_reports INTEGER NOT NULL,
  PRIMARY KEY (replica, boot_id)
);
CREATE TABLE totals (
  model TEXT, version INTEGER, tally BLOB NOT NULL, PRIMARY KEY (model, version)
);
CREATE TABLE dropped (replica TEXT PRIMARY KEY, reports INTEGER NOT NULL);
CREATE TABLE reports (id INTEGER PRIMARY KEY CHECK (id = 1), merged INTEGER NOT NULL);
"""

_STEADY_TIME_AND_GAPS = """
ALTER TABLE cells ADD COLUMN opened_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lives ADD COLUMN reports INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lives ADD COLUMN begin_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lives ADD COLUMN first_seen_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lives ADD COLUMN interval_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lives ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lives ADD COLUMN missing_from_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lives ADD COLUMN missing_until_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lives ADD COLUMN clock_ahead_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE reports ADD COLUMN steady_ns INTEGER NOT NULL DEFAULT 0;
CREATE TABLE floors (resolution INTEGER PRIMARY KEY, start INTEGER NOT NULL);
UPDATE cells SET opened_ns = (start + resolution) * 1000000000;
-- what an older monitor did not note is taken as well: all came, and each session ended as it should
UPDATE lives SET reports = highest, begin_ns = first_end_ns, first_seen_ns = seen_ns, ended = 1;
UPDATE reports SET steady_ns = (SELECT ifnull(max(seen_ns), 0) FROM lives);
"""

_BOOKS = """
CREATE TABLE books (
  book TEXT, key BLOB, value BLOB NOT NULL, PRIMARY KEY (book, key)
) WITHOUT ROWID;
"""

_WINDOWS_AND_JOURNAL = """
CREATE TABLE windows (
  resolution INTEGER, start INTEGER, opened_ns INTEGER NOT NULL, cells BLOB NOT NULL,
  PRIMARY KEY (resolution, start)
);
CREATE TABLE journal (id INTEGER PRIMARY KEY, report BLOB NOT NULL);
"""

Step = Callable[[sqlite3.Connection], None]


def _script(statements: str) -> Step:
    def run(database: sqlite3.Connection) -> None:
        for statement in statements.split(";"):  # executescript would end the transaction
            database.execute(statement)

    return run


def _encode_measures_by_name(database: sqlite3.Connection) -> None:
    _encode_tallies(database, first_encoding.encode_anew)


def _encode_at_scale_6(database: sqlite3.Connection) -> None:
    _encode_tallies(database, lambda tally: _at_scale_6(bytes(tally)))


def _at_scale_6(tally: bytes) -> bytes:
    """Encode a tally anew, unless it is: the step by names gives the present format."""
    return tally if encoding.is_intact(tally) else second_encoding.encode_anew(tally)


def _gather_windows(database: sqlite3.Connection) -> None:
    """Put the cells of a window into one row: it is written as a whole from now on."""
    _script(_WINDOWS_AND_JOURNAL)(database)
    windows = database.execute(
        "SELECT resolution, start, min(opened_ns) FROM cells GROUP BY resolution, start"
    ).fetchall()
    for resolution, start, opened_ns in windows:
        cells = database.execute(
            "SELECT model, version, replica, tally FROM cells WHERE resolution = ? AND start = ?",
            (resolution, start),
        )
        series = {
            Series(model, int(version), replica): tally for model, version, replica, tally in cells
        }
        row = (resolution, start, opened_ns, window_bytes.pack(series))
        database.execute("INSERT INTO windows VALUES (?, ?, ?, ?)", row)
    database.execute("DROP TABLE cells")


def _encode_tallies(database: sqlite3.Connection, encode_anew: Callable[[bytes], bytes]) -> None:
    for table in ("cells", "totals"):
        rowids = database.execute(f"SELECT rowid FROM {table}").fetchall()  # noqa: S608 (our names)
        for (rowid,) in rowids:  # one by one: all of them together are as much as windows may take
            read = f"SELECT tally FROM {table} WHERE rowid = ?"  # noqa: S608 (our names)
            (tally,) = database.execute(read, (rowid,)).fetchone()
            write = f"UPDATE {table} SET tally = ? WHERE rowid = ?"  # noqa: S608 (our names)
            database.execute(write, (encode_anew(tally), rowid))


_STEPS = (
    _script(_BEGINNING),
    _script(_STEADY_TIME_AND_GAPS),
    _encode_measures_by_name,
    _script(_BOOKS),
    _encode_at_scale_6,
    _gather_windows,
)
"""The steps from each schema to the next; 0 is an empty file."""

SCHEMA_VERSION = len(_STEPS)


def migrate(database: sqlite3.Connection) -> None:
    """Bring the file to this schema, inside a transaction of the caller.

    Raises FailedPrecondition (DATA_FROM_NEWER_VERSION), and ValueError where a tally is damaged.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise errors.FailedPrecondition(
            "DATA_FROM_NEWER_VERSION",
            f"the monitor's file has schema {version}, this version reads schemas up to {SCHEMA_VERSION}: "
            "run the newer version, or choose another folder with --data",
        )
    if 0 < version < SCHEMA_VERSION:
        logger.info(
            "the file of telemetry is brought to the present schema",
            extra={"from": version, "to": SCHEMA_VERSION},
        )
    for step in _STEPS[version:]:
        step(database)
    if version < SCHEMA_VERSION:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
