"""Reads files of samples: tables and arrays, a column or tensor by its name."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

FORMS = ".csv, .npz, .json, .parquet"


def read_samples(path: Path) -> Mapping[str, Any]:
    """The columns of a file by their names. Raises typer.BadParameter."""
    readers = {".csv": _csv, ".npz": _npz, ".json": _json, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise typer.BadParameter(f"{path} is none of {FORMS}")
    try:
        return reader(path)
    except (OSError, ValueError, OverflowError, RecursionError, csv.Error) as error:
        raise typer.BadParameter(f"cannot read {path}: {error}") from error


def _csv(path: Path) -> Mapping[str, Any]:
    """The columns, named by the first line."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = [[cell.strip() for cell in line] for line in csv.reader(file) if line]
    if len(lines) < 2:
        raise ValueError("it has no rows below its first line, which names the columns")
    heading, *rows = lines
    ragged = next((n for n, row in enumerate(rows, 2) if len(row) != len(heading)), None)
    if ragged is not None:
        raise ValueError(
            f"row {ragged} has {len(rows[ragged - 2])} columns, the first {len(heading)}"
        )
    if len(set(heading)) != len(heading):
        raise ValueError("two of its columns have the same name")
    return dict(zip(heading, map(list, zip(*rows, strict=True)), strict=True))


def _npz(path: Path) -> Mapping[str, Any]:
    import numpy as np

    with whole_arrays(), np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


@contextmanager
def whole_arrays() -> Iterator[None]:
    """Tell of arrays that are damaged, or claim more than there is, by a ValueError."""
    import zipfile
    import zlib

    try:
        yield
    except (zipfile.BadZipFile, zlib.error, AttributeError, EOFError, MemoryError) as error:
        raise ValueError(f"its arrays cannot be read: {error}") from error


def _json(path: Path) -> Mapping[str, Any]:
    """Columns by name, or rows as objects."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(found, dict):
        return found
    if not (isinstance(found, list) and found and all(isinstance(row, dict) for row in found)):
        raise ValueError('it is neither {"column": [...]} nor [{"column": value}, ...]')
    return {name: [row.get(name) for row in found] for name in found[0]}


def _parquet(path: Path) -> Mapping[str, Any]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise typer.BadParameter(
            f"{path} takes pyarrow: pip install 'headrace[parquet]'"
        ) from error
    try:
        table = parquet.read_table(path)
    except ArrowException as error:
        raise ValueError(str(error)) from error
    return {name: table.column(name).to_pylist() for name in table.column_names}
