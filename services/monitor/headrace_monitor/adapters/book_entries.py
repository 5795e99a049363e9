"""Entries of books in the SQLite file, each with a checksum."""

from __future__ import annotations

import logging
import sqlite3
import struct
import zlib
from collections.abc import Iterator

from headrace_monitor.domain.ingestion.books import BookChanges

logger = logging.getLogger(__name__)

_CHECKSUM = struct.Struct("<I")


def read(database: sqlite3.Connection, book: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a book's entries, but for those that are damaged."""
    damaged = 0
    for key, value in database.execute("SELECT key, value FROM books WHERE book = ?", (book,)):
        content = value[_CHECKSUM.size :]
        if len(value) >= _CHECKSUM.size and _CHECKSUM.unpack_from(value)[0] == zlib.crc32(content):
            yield key, content
        else:
            damaged += 1
    if damaged:
        logger.error(
            "entries in the file of telemetry are damaged, and left out",
            extra={"book": book, "entries": damaged},
        )


def write(database: sqlite3.Connection, book: str, changes: BookChanges) -> None:
    """Write a book's changes, inside a transaction of the caller."""
    database.executemany(
        "DELETE FROM books WHERE book = ? AND key = ?", [(book, key) for key in changes.gone]
    )
    database.executemany(
        "REPLACE INTO books VALUES (?, ?, ?)",
        [
            (book, key, _CHECKSUM.pack(zlib.crc32(value)) + value)
            for key, value in changes.entries.items()
        ],
    )
