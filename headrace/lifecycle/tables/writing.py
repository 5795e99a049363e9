"""Writes rows as CSV, JSON Lines or Parquet, piece by piece: the file is there whole, or not at all."""

from __future__ import annotations

import base64
import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from headrace.errors import FailedPrecondition
from headrace.lifecycle.tables.rows import Array, Rows, invalid

Write = Callable[[Rows], None]
_IN_JSON = (str, int, float)
"""All else, such as dates and decimals, is written as its text."""
Writer = Callable[[Path, Sequence[str]], AbstractContextManager[Write]]


@contextmanager
def table_written(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    """Give what writes rows with these columns; on leaving the file takes its place at once.

    On an error nothing of it stays. Raises InvalidArgument (ROWS_INVALID) for another ending than
    .csv, .jsonl, .parquet, and FailedPrecondition (PARQUET_MISSING).
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise invalid(f"{path} is none of {', '.join(_WRITERS)}")
    beside = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        with writer(beside, columns) as write:
            yield write
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def plain(value: object) -> Any:
    """A value as JSON has it: bytes that are no text in base64, numbers that are none as null."""
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return [plain(each) for each in value.tolist()]
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value if value is None or isinstance(value, _IN_JSON) else str(value)


@contextmanager
def _csv(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)

        def write(rows: Rows) -> None:
            writer.writerows(
                zip(*(map(_cell, rows.columns[name]) for name in columns), strict=True)
            )

        yield write


@contextmanager
def _json_lines(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:

        def write(rows: Rows) -> None:
            values = zip(*(map(plain, rows.columns[name]) for name in columns), strict=True)
            for row in values:
                line = json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False)
                file.write(line + "\n")

        yield write


@contextmanager
def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise FailedPrecondition(
            "PARQUET_MISSING", "writing Parquet takes pyarrow: pip install 'headrace[parquet]'"
        ) from error
    opened: list[Any] = []

    def write(rows: Rows) -> None:
        schema = opened[0].schema if opened else None
        try:
            arrays = {name: _arrow(rows.columns[name]) for name in columns}
            table = pa.table(arrays, schema=schema)
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise invalid(
                f"rows from {rows.start + 1} on are of other types than those before: {error}"
            ) from error
        if not opened:
            opened.append(parquet.ParquetWriter(path, table.schema))
        opened[0].write_table(table)

    try:
        yield write
        if not opened:
            empty = pa.table({name: pa.array([], pa.null()) for name in columns})
            opened.append(parquet.ParquetWriter(path, empty.schema))
    finally:
        for writer in opened:
            writer.close()


def _cell(value: object) -> object:
    made = plain(value)
    if made is None:
        return ""
    return json.dumps(made, ensure_ascii=False) if isinstance(made, list | dict) else made


def _arrow(column: Array) -> Any:
    if column.ndim > 1:
        return [row.tolist() for row in column]
    if column.dtype.kind in "fiub":
        return column
    return [str(value) if isinstance(value, Path) else value for value in column.tolist()]


_WRITERS: Mapping[str, Writer] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".pq": _parquet,
}
