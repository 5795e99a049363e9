"""Tables of arrays: Parquet, and numpy's .npz with an array for each column."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from headrace.errors import FailedPrecondition
from headrace.lifecycle.tables.digests import file_digest
from headrace.lifecycle.tables.rows import Array, Rows, invalid
from headrace.lifecycle.tables.text_files import objects


class ParquetFile:
    """A Parquet file. Takes `headrace[parquet]`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self._file = self._opened()
        self.columns = tuple(self._file.schema_arrow.names)

    def digest(self) -> str:
        """The SHA-256 of the file."""
        return file_digest(self._path)

    def chunks(self, rows: int, start: int = 0) -> Iterator[Rows]:
        """Yield the rows, of which pyarrow holds a row group at a time."""
        place = 0
        for batch in self._file.iter_batches(batch_size=rows):
            behind = place + batch.num_rows
            if behind > start:
                batch = batch.slice(max(0, start - place))
                columns = zip(batch.schema.names, batch.columns, strict=True)
                yield Rows(behind - batch.num_rows, {name: _column(of) for name, of in columns})
            place = behind

    def _opened(self) -> Any:
        try:
            from pyarrow import ArrowException, parquet
        except ImportError as error:
            raise FailedPrecondition(
                "PARQUET_MISSING",
                f"{self.name} takes pyarrow: pip install 'headrace[parquet]'",
            ) from error
        try:
            return parquet.ParquetFile(self._path)
        except (ArrowException, OSError) as error:
            raise invalid(f"{self.name} is no Parquet file: {error}") from error


class NpzFile:
    """A .npz file: an array for each column, the rows first. It is held whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self._arrays = self._read()
        self.columns = tuple(self._arrays)

    def digest(self) -> str:
        """The SHA-256 of the file."""
        return file_digest(self._path)

    def chunks(self, rows: int, start: int = 0) -> Iterator[Rows]:
        """Yield the rows."""
        count = len(next(iter(self._arrays.values()), ()))
        for place in range(start, count, rows):
            some = slice(place, min(place + rows, count))
            yield Rows(place, {name: array[some] for name, array in self._arrays.items()})

    def _read(self) -> dict[str, Array]:
        try:
            with np.load(self._path, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
        except (zipfile.BadZipFile, AttributeError, ValueError, OSError) as error:
            raise invalid(f"{self.name} is no .npz of numbers and texts: {error}") from error
        if any(not array.ndim for array in found.values()):
            raise invalid(f"an array of {self.name} is one value, and has no rows")
        if len({len(array) for array in found.values()}) > 1:
            raise invalid(f"the arrays of {self.name} have different numbers of rows")
        return {name: _plain(array) for name, array in found.items()}


def _plain(array: Array) -> Array:
    return array.astype(object) if array.dtype.kind in "US" else array


def _column(column: Any) -> Array:
    from pyarrow import types

    kind = column.type
    if not column.null_count and (types.is_integer(kind) or types.is_floating(kind)):
        array: Array = column.to_numpy(zero_copy_only=False)
        return array
    return objects(column.to_pylist())
