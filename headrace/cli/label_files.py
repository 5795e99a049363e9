"""Labels in CSV and JSON Lines files: read line by line, however long they are."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from headrace.client import Label

LINES = frozenset({".jsonl", ".ndjson", ".json"})
"""Ends of the names of files that have a JSON object in each line; all others are CSV with a heading."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns, or of the keys of objects."""

    id: str = "id"
    label: str = "label"
    row: str = "row"
    time: str = "time"


def read_labels(path: Path, columns: Columns) -> Iterator[Label]:
    """Yield the labels of a file. Raises typer.BadParameter, which names the line."""
    read = _objects if path.suffix.lower() in LINES else _csv_rows
    try:
        for number, row in read(path):
            try:
                yield _label(row, columns)
            except (KeyError, TypeError, ValueError) as error:
                raise typer.BadParameter(f"{path}, line {number}: {_why(error, row)}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise typer.BadParameter(f"cannot read {path}: {error}") from error


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            yield reader.line_num, row


def _objects(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise typer.BadParameter(f"{path}, line {number} is no JSON: {error}") from error
            if not isinstance(found, dict):
                raise typer.BadParameter(f"{path}, line {number} is no JSON object")
            yield number, found


def _label(row: Mapping[str, Any], columns: Columns) -> Label:
    from headrace.client import Label

    identity, truth = row[columns.id], row[columns.label]
    if identity in (None, "") or truth in (None, ""):
        raise ValueError("it has no id or no label")
    place, time = row.get(columns.row), row.get(columns.time)
    return Label(
        str(identity),
        truth_of(truth),
        int(place) if place not in (None, "") else 0,
        _seconds(time) if time not in (None, "") else None,
    )


def truth_of(value: object) -> str | float:
    """A class or a number; true and false are the classes `true` and `false`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return float(value) if isinstance(value, (int, float)) else str(value)


def _seconds(value: object) -> float:
    """Seconds since the epoch, of a number or a time such as 2026-11-29T18:00."""
    try:
        return float(str(value))
    except ValueError:
        return datetime.fromisoformat(str(value)).timestamp()


def _why(error: Exception, row: Mapping[str, Any]) -> str:
    if isinstance(error, KeyError):
        names = ", ".join(str(name) for name in row)
        return f"there is no {error.args[0]!r} among {names}; --id-column and --label-column name others"
    return str(error)
