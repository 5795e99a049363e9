"""Tables in text: CSV with a heading, and a JSON object in each line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from headrace.lifecycle.tables.digests import file_digest
from headrace.lifecycle.tables.rows import Array, Rows, invalid


class CsvFile:
    """A CSV file whose first line names the columns; all values are texts, which may be ''."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self.columns = _heading(path)

    def digest(self) -> str:
        """The SHA-256 of the file."""
        return file_digest(self._path)

    def chunks(self, rows: int, start: int = 0) -> Iterator[Rows]:
        """Yield the rows. Raises InvalidArgument (ROWS_INVALID) for ragged ones."""
        with self._path.open(encoding="utf-8-sig", newline="") as file:
            lines = self._lines(csv.reader(file))
            place = sum(1 for _ in islice(lines, start))
            while some := list(islice(lines, rows)):
                columns = zip(self.columns, zip(*some, strict=True), strict=True)
                yield Rows(place, {name: objects(values) for name, values in columns})
                place += len(some)

    def _lines(self, reader: Any) -> Iterator[Sequence[str]]:
        try:
            next(reader, None)
            for line in reader:
                if not line:
                    continue
                if len(line) != len(self.columns):
                    raise invalid(
                        f"{self.name}, line {reader.line_num}, has {len(line)} columns, the first line "
                        f"{len(self.columns)}"
                    )
                yield line
        except (csv.Error, UnicodeDecodeError) as error:
            raise invalid(f"{self.name}, line {reader.line_num}: {error}") from error


class JsonLinesFile:
    """A file with a JSON object in each line; the first names the columns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        first = next(self._objects(), None)
        if first is None:
            raise invalid(f"{self.name} has no rows")
        self.columns = tuple(first)

    def digest(self) -> str:
        """The SHA-256 of the file."""
        return file_digest(self._path)

    def chunks(self, rows: int, start: int = 0) -> Iterator[Rows]:
        """Yield the rows; a key that an object lacks is a missing value."""
        found = self._objects()
        place = sum(1 for _ in islice(found, start))
        while some := list(islice(found, rows)):
            yield Rows(
                place, {name: objects([row.get(name) for row in some]) for name in self.columns}
            )
            place += len(some)

    def _objects(self) -> Iterator[Mapping[str, Any]]:
        with self._path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    found = json.loads(line)
                except ValueError as error:
                    raise invalid(f"{self.name}, line {number} is no JSON: {error}") from error
                if not isinstance(found, dict):
                    raise invalid(f"{self.name}, line {number} is no JSON object")
                yield found


def objects(values: Sequence[object]) -> Array:
    """A column of Python values: numbers as an array of numbers, all else as objects."""
    if values and all(type(value) in (int, float) for value in values):
        return np.asarray(values)
    column: Array = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        column[place] = value
    return column


def _heading(path: Path) -> tuple[str, ...]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = [name.strip() for name in next(csv.reader(file), [])]
    except (csv.Error, UnicodeDecodeError) as error:
        raise invalid(f"{path.name} is no CSV: {error}") from error
    if not found:
        raise invalid(f"{path.name} is empty: its first line names the columns")
    if len(set(found)) != len(found):
        raise invalid(f"two columns of {path.name} have the same name")
    return tuple(found)
