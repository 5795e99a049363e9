"""Tables of arrays: Parquet, and numpy's .npz with an array for each column."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from headrace.errors import FailedPrecondition
from headrace.lifecycle.tables.digests import file_digest
from headrace.lifecycle.tables.rows import Array, Rows, distinct, invalid, readable
from headrace.lifecycle.tables.text_files import objects

_KINDS = "fiubUSO"
"""Numbers, truth values and texts."""
_HEADERS: Mapping[tuple[int, int], Callable[[IO[bytes]], Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class ParquetFile:
    """A Parquet file. Takes `headrace[parquet]`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self._file = self._opened()
        self.columns = distinct(self._file.schema_arrow.names, self.name)

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
        from pyarrow import ArrowException

        with readable(self.name, "Parquet file that can be read", ArrowException):
            yield from self._chunks(rows, start)

    def _chunks(self, rows: int, start: int) -> Iterator[Rows]:
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
        with readable(self.name, "Parquet file", ArrowException):
            return parquet.ParquetFile(self._path, page_checksum_verification=True)


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
        form = ".npz of numbers and texts"
        # zipfile raises RuntimeError of encrypted members, NotImplementedError of methods it does not know.
        with readable(self.name, form, zipfile.BadZipFile, zlib.error, RuntimeError):
            _check_sizes(self._path)
            with np.load(self._path, allow_pickle=False) as arrays:
                names = distinct(arrays.files, self.name)
                found = {name: np.asarray(arrays[name]) for name in names}
        odd = next((name for name, array in found.items() if array.dtype.kind not in _KINDS), None)
        if odd is not None:
            raise invalid(f"array {odd!r} of {self.name} has values of type {found[odd].dtype}")
        if any(not array.ndim for array in found.values()):
            raise invalid(f"an array of {self.name} is one value, and has no rows")
        if len({len(array) for array in found.values()}) > 1:
            raise invalid(f"the arrays of {self.name} have different numbers of rows")
        return {name: _plain(array) for name, array in found.items()}


def _check_sizes(path: Path) -> None:
    """Pass if the arrays fit into the machine's memory, by what the file says that they become.

    Raises ValueError for arrays that claim more values than the file has bytes for, or that are too many.
    """
    whole = 0
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            whole += member.file_size
            with archive.open(member) as file:
                _check_header(file, member.filename, member.file_size)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if whole > memory:
        raise ValueError(f"its arrays take {whole} bytes, and this machine has {memory}")


def _check_header(file: IO[bytes], name: str, size: int) -> None:
    read = _HEADERS.get(np.lib.format.read_magic(file))
    if read is None:
        return  # numpy knows the others, or says so
    shape, _, dtype = read(file)
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > size:
        raise ValueError(f"{name} claims {claimed} bytes of values, and has {size}")


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
    lists = _equal_lists(column)
    return lists if lists is not None else objects(column.to_pylist())


def _equal_lists(column: Any) -> Array | None:
    """Lists of numbers, all of one length and none missing, as one array; else None."""
    from pyarrow import compute, types

    kind = column.type
    if not (types.is_list(kind) or types.is_fixed_size_list(kind)) or column.null_count:
        return None
    lengths = compute.min_max(compute.list_value_length(column)).as_py()
    if not len(column) or lengths["min"] != lengths["max"] or not lengths["max"]:
        return None
    values = compute.list_flatten(column)
    number = values.type
    if values.null_count or not (types.is_integer(number) or types.is_floating(number)):
        return None
    array: Array = values.to_numpy().reshape(len(column), -1)
    return array
