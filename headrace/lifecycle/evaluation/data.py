"""The data of an evaluation: rows of a file, a folder or columns, and a name and a digest for them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from headrace.lifecycle.tables import Rows, TableSource, open_table, read_all
from headrace.lifecycle.tables.rows import Array, invalid
from headrace.state.annotation_records import Metric

Data = Path | str | TableSource | Mapping[str, object]
_LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class EvaluationData:
    """Rows, by which name people know them, and the SHA-256 that tells them from others."""

    rows: Rows = field(repr=False)
    name: str
    digest: str


def read_data(
    data: Data, *, name: str = "", limit: int | None = None, seed: int = 0
) -> EvaluationData:
    """Read all rows; with a limit, so many that are drawn of them, in their order.

    Rows that are drawn have a digest of their own. Raises InvalidArgument (ROWS_INVALID).
    """
    if isinstance(data, Mapping):
        rows, found, digest = columns_as_rows(data), "columns", ""
        digest = _digest_of(rows)
    else:
        source = open_table(data) if isinstance(data, Path | str) else data
        rows, found, digest = read_all(source), source.name, source.digest()
    if limit is not None and limit < len(rows):
        places = np.sort(np.random.default_rng(seed).permutation(len(rows))[:limit])
        rows = rows.take(places)
        digest = hashlib.sha256(f"{digest} {limit} {seed}".encode()).hexdigest()
    return EvaluationData(rows, one_line(name or found), digest)


def one_line(text: str) -> str:
    """A text as a name that the registry takes: one line, not too long."""
    return "".join(char if char.isprintable() else " " for char in text)[:_LONGEST_NAME]


def columns_as_rows(columns: Mapping[str, object]) -> Rows:
    """Columns by name as rows. Raises InvalidArgument (ROWS_INVALID) for different lengths, and none."""
    arrays = {name: _column(name, of) for name, of in columns.items()}
    if len({len(array) for array in arrays.values()}) != 1:
        raise invalid(
            f"columns have different numbers of rows: { {name: len(a) for name, a in arrays.items()} }"
        )
    rows = Rows(0, arrays)
    if not len(rows):
        raise invalid("there are no rows")
    return rows


def _column(name: str, values: object) -> Array:
    array = np.asarray(values)
    if not array.ndim:
        raise invalid(f"column {name!r} is one value, and has no rows")
    return array.astype(object) if array.dtype.kind in "US" else array


def _digest_of(rows: Rows) -> str:
    digest = hashlib.sha256()
    for name, column in rows.columns.items():
        digest.update(f"{name} {column.dtype.name} {column.shape}\n".encode())
        if column.dtype == object:
            digest.update("\n".join(map(repr, column.tolist())).encode())
        else:
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def signed(metrics: Sequence[Metric], data: EvaluationData) -> tuple[Metric, ...]:
    """The metrics, which say of which data they are, and when they were measured."""
    now = time.time()
    return tuple(
        replace(each, data_digest=data.digest, data_name=data.name, measured_at=now)
        for each in metrics
    )
