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

    def count(self) -> int:
        """The number of rows, by its footer."""
        return int(self._file.metadata.num_rows)

    def chunks(
        self,
        rows: int,
        start: int = 0,
        mark: int | None = None,  # noqa: ARG002  # the footer says it
    ) -> Iterator[Rows]:
        """Yield the rows; a row group at a time is held, and those before `start` are not read."""
        from pyarrow import Table

        place, groups = self._groups_from(start)
        pending, waiting, begin = [], 0, start
        for batch in self._file.iter_batches(batch_size=rows, row_groups=groups) if groups else ():
            cut = min(batch.num_rows, max(0, start - place))
            place += batch.num_rows
            pending.append(batch.slice(cut))
            waiting += batch.num_rows - cut
            while waiting >= rows:
                table = Table.from_batches(pending)
                yield _rows(begin, table.slice(0, rows))
                pending, waiting, begin = (
                    table.slice(rows).to_batches(),
                    waiting - rows,
                    begin + rows,
                )
        if waiting:
            yield _rows(begin, Table.from_batches(pending))

    def _groups_from(self, start: int) -> tuple[int, list[int]]:
        """Where the first row group with anything from `start` on begins, its number and later ones."""
        metadata, place = self._file.metadata, 0
        for number in range(metadata.num_row_groups):
            rows = metadata.row_group(number).num_rows
            if place + rows > start:
                return place, list(range(number, metadata.num_row_groups))
            place += rows
        return place, []

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

    def count(self) -> int:
        """The number of rows."""
        return len(next(iter(self._arrays.values()), ()))

    def chunks(
        self,
        rows: int,
        start: int = 0,
        mark: int | None = None,  # noqa: ARG002  # the place says it
    ) -> Iterator[Rows]:
        """Yield the rows."""
        count = self.count()
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


def _rows(start: int, table: Any) -> Rows:
    return Rows(start, {name: _column(table.column(name)) for name in table.column_names})


def _column(column: Any) -> Array:
    from pyarrow import types

    kind = column.type
    if not column.null_count and (types.is_integer(kind) or types.is_floating(kind)):
        array: Array = column.to_numpy()
        return array
    return objects(column.to_pylist())
