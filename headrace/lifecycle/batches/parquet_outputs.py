"""Outputs in Parquet: one file, or a folder with a file for each part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headrace.datatype_names import Datatype
from headrace.lifecycle.batches import portable
from headrace.lifecycle.batches.answers import ERROR, Answered, Column, values_a_row
from headrace.lifecycle.batches.durable import flush_folder, flushed_digest
from headrace.lifecycle.extras import from_extra

Arrow = Any
"""A table, an array, a type or a schema of pyarrow, which is an extra."""


class ParquetOutput:
    """One Parquet file, a row group for each part."""

    def write(self, path: Path, part: Answered) -> None:
        """Write a part."""
        pyarrow, parquet = _arrow(), _parquet()
        arrays = [_array(column) for column in part.columns]
        names = [column.name for column in part.columns]
        parquet.write_table(pyarrow.Table.from_arrays(arrays, names), path)

    def gather(self, parts: Sequence[Path], path: Path) -> None:
        """One file of all parts."""
        parquet, schema = _parquet(), _schema(parts)
        with parquet.ParquetWriter(path, schema) as writer:
            for part in parts:
                writer.write_table(_read(part, schema))


class FolderOutput(ParquetOutput):
    """A folder of Parquet files, one for each part, all with the same columns."""

    def gather(self, parts: Sequence[Path], path: Path) -> None:
        """One folder of all parts."""
        parquet, schema = _parquet(), _schema(parts)
        path.mkdir()
        for place, part in enumerate(parts):
            file = path / f"part-{place:06d}.parquet"
            parquet.write_table(_read(part, schema), file)
            flushed_digest(file)
        flush_folder(path)


def _read(part: Path, schema: Arrow) -> Arrow:
    table = _parquet().ParquetFile(part).read()
    columns = [_cast(table.column(field.name), field.type) for field in schema]
    return _arrow().Table.from_arrays(columns, schema=schema)


def _cast(column: Arrow, kind: Arrow) -> Arrow:
    if column.type == kind:
        return column
    pyarrow = _arrow()
    if kind == pyarrow.string() and not pyarrow.types.is_null(column.type):
        return pyarrow.array([_as_text(value) for value in column.to_pylist()], kind)
    return column.cast(kind)


def _as_text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


def _schema(parts: Sequence[Path]) -> Arrow:
    """The columns of all parts: each of a type that has the values of every part."""
    pyarrow, parquet = _arrow(), _parquet()
    schemas = [parquet.read_schema(part) for part in parts]
    fields = []
    for name in schemas[0].names:
        kinds = {schema.field(name).type for schema in schemas}
        fields.append(pyarrow.field(name, _common(kinds)))
    return pyarrow.schema(fields)


def _common(kinds: set[Arrow]) -> Arrow:
    pyarrow = _arrow()
    some = {kind for kind in kinds if not pyarrow.types.is_null(kind)}
    if len(some) == 1:
        return next(iter(some))
    if not some:
        return pyarrow.string()
    if some <= {pyarrow.string(), pyarrow.binary()}:
        return pyarrow.binary()
    return _promoted(some)


def _promoted(kinds: set[Arrow]) -> Arrow:
    """A type for all; texts where none loses nothing, as of 64-bit integers beside fractions."""
    pyarrow = _arrow()
    integers = any(pyarrow.types.is_int64(kind) or pyarrow.types.is_uint64(kind) for kind in kinds)
    if integers and any(pyarrow.types.is_floating(kind) for kind in kinds):
        return pyarrow.string()
    try:
        schemas = [
            pyarrow.schema([("x", kind)])
            for kind in sorted(kinds, key=str)  # the same, whatever the order
        ]
        return pyarrow.unify_schemas(schemas, promote_options="permissive").field("x").type
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):
        return pyarrow.string()


def _array(column: Column) -> Arrow:
    if column.name == ERROR:
        return _arrow().array(column.values.tolist(), _arrow().string())
    if column.spec is None:
        return _kept(column)
    count = values_a_row(column.spec)
    values = column.values
    if values.dtype == object and column.spec.datatype is not Datatype.BYTES:
        return _arrow().array(portable.listed(column))
    if count == 1:
        values = values.reshape(len(values))
    return _nested(values, column)


def _kept(column: Column) -> Arrow:
    pyarrow = _arrow()
    if column.values.dtype != object:
        return _nested(column.values, column)
    values = column.values.tolist()
    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
        return pyarrow.array([_as_text(value) for value in values], pyarrow.string())


def _nested(values: Any, column: Column) -> Arrow:
    """Rows of several values as lists, as deep as there are dimensions."""
    pyarrow = _arrow()
    flat = _leaves(values.reshape(-1))
    for depth in range(values.ndim - 1, 0, -1):
        count = int(np.prod(values.shape[:depth], dtype=np.int64))
        size = values.shape[depth]
        mask = pyarrow.array(column.missing) if depth == 1 and column.missing is not None else None
        offsets = pyarrow.array(np.arange(count + 1, dtype=np.int32) * np.int32(size))
        flat = pyarrow.ListArray.from_arrays(offsets, flat, mask=mask)
    if values.ndim == 1 and column.missing is not None:
        nothing = pyarrow.scalar(None, flat.type)
        return pyarrow.compute.if_else(pyarrow.array(column.missing), nothing, flat)
    return flat


def _leaves(values: Any) -> Arrow:
    pyarrow = _arrow()
    if values.dtype.kind == "V":
        return pyarrow.array(values.astype(np.float32))  # BF16: Parquet knows no such type
    if values.dtype != object:
        return pyarrow.array(values)
    texts = values.tolist()
    try:
        return pyarrow.array([_decoded(value) for value in texts], pyarrow.string())
    except UnicodeDecodeError:
        return pyarrow.array([_encoded(value) for value in texts], pyarrow.binary())


def _decoded(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value


def _encoded(value: object) -> object:
    return value.encode() if isinstance(value, str) else value


def _arrow() -> Any:
    from_extra("pyarrow.compute", "writing Parquet", "parquet")
    return from_extra("pyarrow", "writing Parquet", "parquet")


def _parquet() -> Any:
    return from_extra("pyarrow.parquet", "writing Parquet", "parquet")
