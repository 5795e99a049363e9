"""Tables in text: CSV with a heading, and a JSON object in each line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from headrace.lifecycle.tables.digests import file_digest
from headrace.lifecycle.tables.rows import Array, Rows, distinct, invalid, is_text

MAX_LINE_BYTES = 64 << 20
"""A file without line breaks is not read into memory whole to find that out."""
MAX_DEPTH = 64
"""numpy has no arrays of more dimensions."""
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""May be half a character, which no output can have."""


class CsvFile:
    """A CSV file whose first line names the columns; all values are texts, which may be ''."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self.columns = _heading(path)

    def digest(self) -> str:
        """The SHA-256 of the file."""
        return file_digest(self._path)

    def count(self) -> None:
        """Not known: a row may have several lines."""

    def chunks(self, rows: int, start: int = 0, mark: int | None = None) -> Iterator[Rows]:
        """Yield the rows. Raises InvalidArgument (ROWS_INVALID) for ragged ones."""
        with self._path.open("rb") as file:
            file.seek(mark or 0)
            lines = _CountedLines(file, self.name)
            found = self._rows(csv.reader(lines), begun=mark is not None)
            place = start if mark is not None else sum(1 for _ in islice(found, start))
            while some := list(islice(found, rows)):
                columns = zip(self.columns, zip(*some, strict=True), strict=True)
                named = {name: objects(values) for name, values in columns}
                yield Rows(place, named, (mark or 0) + lines.bytes)
                place += len(some)

    def _rows(self, reader: Any, *, begun: bool) -> Iterator[Sequence[str]]:
        """Each row; where the reading was begun before, there is no heading in front."""
        try:
            if not begun:
                next(reader, None)
            for line in reader:
                if not line:
                    continue
                if len(line) != len(self.columns):
                    raise invalid(
                        f"{self.name}, line {reader.line_num}{' of those left' if begun else ''}, has "
                        f"{len(line)} columns, the first line {len(self.columns)}"
                    )
                yield line
        except csv.Error as error:
            raise invalid(f"{self.name}, line {reader.line_num}: {error}") from error


class JsonLinesFile:
    """A file with a JSON object in each line; the first names the columns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        first = self._first()
        if first is None:
            raise invalid(f"{self.name} has no rows")
        self.columns = distinct(first, self.name)

    def digest(self) -> str:
        """The SHA-256 of the file."""
        return file_digest(self._path)

    def count(self) -> None:
        """Not known: lines are not counted before they are read."""

    def chunks(self, rows: int, start: int = 0, mark: int | None = None) -> Iterator[Rows]:
        """Yield the rows; a key that an object lacks is a missing value."""
        with self._path.open("rb") as file:
            file.seek(mark or 0)
            lines = _CountedLines(file, self.name)
            texts = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
            if mark is None:
                sum(1 for _ in islice(texts, start))
            place = start
            while some := [self._object(*each) for each in islice(texts, rows)]:
                columns = {name: objects([row.get(name) for row in some]) for name in self.columns}
                yield Rows(place, columns, (mark or 0) + lines.bytes)
                place += len(some)

    def _first(self) -> Mapping[str, Any] | None:
        with self._path.open("rb") as file:
            lines = (
                (number, line) for number, line in enumerate(_CountedLines(file, self.name), 1)
            )
            return next((self._object(*each) for each in lines if each[1].strip()), None)

    def _object(self, number: int, line: str) -> Mapping[str, Any]:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise invalid(f"{self.name}, line {number} is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise invalid(f"{self.name}, line {number} is no JSON object")
        if line.count("[") + line.count("{") > MAX_DEPTH and not _is_shallow(found, MAX_DEPTH):
            raise invalid(f"{self.name}, line {number} is nested more than {MAX_DEPTH} deep")
        if _HALF.search(line) and not is_text(json.dumps(found, ensure_ascii=False)):
            raise invalid(f"{self.name}, line {number} has half a character (\\ud800 to \\udfff)")
        return found


class _CountedLines:
    """The lines of a file from where it is, as texts, and the bytes of those that were read."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._is_first = not file.tell()
        self.bytes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        if len(line) > MAX_LINE_BYTES:
            raise invalid(f"a line of {self._name} has more than {MAX_LINE_BYTES >> 20} MiB")
        self.bytes += len(line)
        encoding = "utf-8-sig" if self._is_first else "utf-8"
        self._is_first = False
        try:
            return line.decode(encoding)
        except UnicodeDecodeError as error:
            raise invalid(f"{self._name} is not in UTF-8: {error}") from error


def objects(values: Sequence[object]) -> Array:
    """A column of Python values: numbers as an array of numbers, all else as objects."""
    kinds = set(map(type, values))
    if kinds in ({int}, {float}):  # mixed, large integers would be rounded
        numbers = np.asarray(values)
        if numbers.dtype.kind in "iuf" and (numbers.dtype.kind == "f") == (kinds == {float}):
            return numbers
    return np.fromiter(values, dtype=object, count=len(values))


def _is_shallow(value: object, depth: int) -> bool:
    """Return whether lists and objects lie in one another up to `depth` times."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return depth > 0 and all(_is_shallow(each, depth - 1) for each in value)


def _heading(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            lines = _CountedLines(file, path.name)
            found = [name.strip() for name in next(csv.reader(lines), [])]
    except csv.Error as error:
        raise invalid(f"{path.name} is no CSV: {error}") from error
    if not found:
        raise invalid(f"{path.name} is empty: its first line names the columns")
    other = next((mark for mark in ";\t|" if len(found) == 1 and mark in found[0]), None)
    if other is not None:
        raise invalid(
            f"{path.name} has one column, {found[0]!r:.100}: columns are separated by commas, not by "
            f"{other!r}, and decimals have a point"
        )
    return distinct(found, path.name)
