"""Opens a file or a folder as a table, by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from headrace.lifecycle.tables.array_files import NpzFile, ParquetFile
from headrace.lifecycle.tables.folders import Folder
from headrace.lifecycle.tables.rows import TableSource, invalid
from headrace.lifecycle.tables.text_files import CsvFile, JsonLinesFile

_READERS: Mapping[str, Callable[[Path], TableSource]] = {
    ".csv": CsvFile,
    ".jsonl": JsonLinesFile,
    ".ndjson": JsonLinesFile,
    ".npz": NpzFile,
    ".parquet": ParquetFile,
    ".pq": ParquetFile,
}
FORMS = ", ".join(_READERS)


def open_table(path: Path | str) -> TableSource:
    """The rows of a file, or a row for each file of a folder.

    Raises InvalidArgument (ROWS_INVALID) for what cannot be read, and FailedPrecondition
    (PARQUET_MISSING).
    """
    place = Path(path)
    if place.is_dir():
        return Folder(place)
    reader = _READERS.get(place.suffix.lower())
    if reader is None:
        raise invalid(f"{place} is neither a folder nor one of {FORMS}")
    try:
        return reader(place)
    except OSError as error:
        raise invalid(f"cannot read {place}: {error.strerror or error}") from error
