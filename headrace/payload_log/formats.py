"""Makes files of records, and reads them: JSON Lines, or Parquet."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from headrace import errors
from headrace.payload_log.records import PayloadRecord

Format = Literal["jsonl", "parquet"]

_SCALARS = (
    "time", "model", "version", "digest", "route", "replica", "request_id", "latency_ms", "error", "prompt",
)  # fmt: skip
_LISTS = ("slices", "answers", "masked")
_JSON = ("headers", "parameters", "inputs", "outputs")
"""Columns of Parquet that are texts of JSON: tensors have another form for each model."""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(PayloadRecord)


def line_of(record: PayloadRecord) -> bytes:
    """A record as a line of JSON."""
    return _ENCODER.encode(record) + b"\n"


def parquet_of(records: Sequence[PayloadRecord]) -> bytes:
    """Records as a file of Parquet. Raises FailedPrecondition (PARQUET_MISSING) without the package."""
    pyarrow, parquet = _packages()
    plain = [_plain(record) for record in records]
    columns = {name: [row[name] for row in plain] for name in (*_SCALARS, *_LISTS)}
    for name in _JSON:
        columns[name] = [_ENCODER.encode(row[name]).decode() for row in plain]
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(columns, schema=_schema(pyarrow)), file, compression="zstd")
    return file.getvalue()


def records_in(name: str, data: bytes) -> Iterator[PayloadRecord]:
    """Yield the records of a file, by its name. Raises InvalidArgument (PAYLOAD_LOG_UNREADABLE)."""
    try:
        yield from _from_parquet(data) if name.endswith(".parquet") else _from_lines(data)
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        raise errors.InvalidArgument(
            "PAYLOAD_LOG_UNREADABLE",
            f"{name} is no file of a payload log ({str(error)[:200]}): give a folder or a file that "
            "replicas wrote, in JSON Lines (.jsonl) or Parquet (.parquet)",
        ) from error


def require_parquet() -> None:
    """Raises FailedPrecondition (PARQUET_MISSING) where Parquet cannot be written here."""
    _packages()


def _from_lines(data: bytes) -> Iterator[PayloadRecord]:
    for line in data.splitlines():
        if line.strip():
            yield _DECODER.decode(line)


def _from_parquet(data: bytes) -> Iterator[PayloadRecord]:
    _, parquet = _packages()
    for row in parquet.read_table(io.BytesIO(data)).to_pylist():
        whole = {name: row[name] for name in (*_SCALARS, *_LISTS)}
        whole |= {name: msgspec.json.decode(row[name]) for name in _JSON}
        yield msgspec.convert(whole, PayloadRecord)


def _plain(record: PayloadRecord) -> dict[str, Any]:
    """A record as plain values, with those of its fields that have their defaults."""
    return {
        name: msgspec.to_builtins(getattr(record, name)) for name in PayloadRecord.__struct_fields__
    }


def _schema(pyarrow: Any) -> Any:
    texts = pyarrow.string()
    kinds = {"version": pyarrow.int64(), "latency_ms": pyarrow.float64()}
    return pyarrow.schema(
        [(name, kinds.get(name, texts)) for name in _SCALARS]
        + [(name, pyarrow.list_(texts)) for name in _LISTS]
        + [(name, texts) for name in _JSON]
    )


def _packages() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise errors.FailedPrecondition(
            "PARQUET_MISSING",
            "Parquet needs the package pyarrow, which is not installed: `pip install "
            "'headrace[parquet]'`, or log in JSON Lines (--payload-format jsonl)",
        ) from error
    return pa, parquet
