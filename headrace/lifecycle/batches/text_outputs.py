"""Outputs in text: CSV, and a JSON object in each line. Parts are pieces of the whole."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from headrace.lifecycle.batches import portable
from headrace.lifecycle.batches.answers import Answered


class CsvOutput:
    """A CSV file; each part has the heading, of which the first stays."""

    def write(self, path: Path, part: Answered) -> None:
        """Write a part."""
        spread = [pair for column in part.columns for pair in portable.spread(column)]
        cells = [[_cell(value) for value in values] for _, values in spread]
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([name for name, _ in spread])
            writer.writerows(zip(*cells, strict=True))

    def gather(self, parts: Sequence[Path], path: Path) -> None:
        """One file of all parts."""
        with path.open("wb") as whole:
            for place, part in enumerate(parts):
                with part.open("rb") as file:
                    if place:
                        _skip_heading(file)
                    shutil.copyfileobj(file, whole, 1 << 20)


class JsonLinesOutput:
    """A JSON object in each line."""

    def write(self, path: Path, part: Answered) -> None:
        """Write a part."""
        names = [column.name for column in part.columns]
        values = zip(*map(portable.listed, part.columns), strict=True)
        encode = msgspec.json.Encoder().encode
        with path.open("wb") as file:
            file.writelines(encode(dict(zip(names, row, strict=True))) + b"\n" for row in values)

    def gather(self, parts: Sequence[Path], path: Path) -> None:
        """One file of all parts."""
        with path.open("wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole, 1 << 20)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    return value


def _skip_heading(file: Any) -> None:
    """Headings may have line breaks in quotes."""
    quotes = 0
    for line in iter(file.readline, b""):
        quotes += line.count(b'"')
        if not quotes % 2:
            return
