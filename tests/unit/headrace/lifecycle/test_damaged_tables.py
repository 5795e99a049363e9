"""Files that are damaged, or made to do damage: each is refused in words, by whatever library reads it."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headrace.errors import InvalidArgument
from headrace.lifecycle.tables import Rows, open_table, read_all, table_written
from headrace.lifecycle.tables.rows import numbers_of
from headrace.lifecycle.tables.text_files import MAX_LINE_BYTES, objects

Write = Callable[[Path], None]
TEXTS = {
    "nested arrays.jsonl": b'{"a":1}\n{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    "nested objects.jsonl": b'{"a":' * 70 + b"1" + b"}" * 70 + b"\n",
    "half a character.jsonl": b'{"a":"\\ud800"}\n',
    "no column.jsonl": b"{}\n",
    "digits.jsonl": b'{"a":' + b"9" * 10_000 + b"}\n",
    "utf-16.csv": "a,b\n1,2\n".encode("utf-16"),
    "carriage returns.csv": b"a,b\r1,2\r",
    "field.csv": b"a\n" + b"x" * 200_000 + b"\n",
    "nothing.parquet": b"PAR1PAR1",
}


def header(shape: tuple[int, ...]) -> bytes:
    """The head of an array that claims a shape."""
    out = io.BytesIO()
    described = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, described)
    return out.getvalue()


def member(name: str, data: bytes) -> Write:
    """A .npz with one member."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, data)

    return write


def array(values: object) -> Write:
    """A .npz with these values."""
    return lambda path: np.savez(path, a=np.asarray(values))


def flipped(path: Path) -> None:
    """A compressed .npz whose middle is damaged."""
    np.savez_compressed(path, a=np.arange(1000))
    data = bytearray(path.read_bytes())
    data[150:400] = bytes(byte ^ 0x5A for byte in data[150:400])
    path.write_bytes(data)


def columns_of_one_name(path: Path) -> None:
    """A Parquet file that has a name twice."""
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), path)


def no_text(path: Path) -> None:
    """A Parquet file whose text is not in UTF-8."""
    import pyarrow as pa
    from pyarrow import parquet

    ends = pa.py_buffer(np.array([0, 2], np.int32).tobytes())
    texts = pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(b"\xff\xfe")])
    parquet.write_table(pa.table({"a": texts}), path)


def no_date(path: Path) -> None:
    """A Parquet file with a time that Python has not."""
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"a": pa.array([2**52, None], pa.timestamp("ms"))}), path)


ARRAYS: dict[str, Write] = {
    "claims.npz": member("a.npy", header((10**12,)) + b"1" * 64),
    "no array.npz": member("a.txt", b"hello"),
    "pickle.npz": array([{"x": 1}, 2]),
    "records.npz": array(np.zeros(3, dtype=[("x", "i4")])),
    "complex.npz": array([1 + 2j]),
    "flipped.npz": flipped,
    "same names.parquet": columns_of_one_name,
    "no text.parquet": no_text,
    "no date.parquet": no_date,
}


def refusal(path: Path) -> InvalidArgument:
    """The error of reading it all."""
    with pytest.raises(InvalidArgument) as caught:
        read_all(open_table(path))
    return caught.value


@pytest.mark.parametrize("name", TEXTS)
def test_damaged_texts_are_refused(name: str, tmp_path: Path) -> None:
    """No text ends the reading in another way than with the name of its file."""
    path = tmp_path / name
    path.write_bytes(TEXTS[name])
    error = refusal(path)
    assert "ROWS_INVALID" == error.reason
    assert name in error.message


@pytest.mark.parametrize("name", ARRAYS)
def test_damaged_arrays_are_refused(name: str, tmp_path: Path) -> None:
    """No array ends the reading in another way than with the name of its file."""
    path = tmp_path / name
    ARRAYS[name](path)
    error = refusal(path)
    assert "ROWS_INVALID" == error.reason
    assert name in error.message


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_file_without_line_breaks_is_not_read_whole(ending: str, tmp_path: Path) -> None:
    """The line is refused once it has more than a line may, however large the file is."""
    path = tmp_path / f"line{ending}"
    with path.open("wb") as file:
        file.truncate(MAX_LINE_BYTES * 64)  # 4 GiB of zeros, which take no room on the disk
    assert "has more than 64 MiB" in refusal(path).message


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A file whose name no output can have is named."""
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff.png")).write_bytes(b"x")
    assert "is not in UTF-8" in refusal(tmp_path).message


def test_integers_beyond_floats_are_no_numbers() -> None:
    """The row is named that has one."""
    with pytest.raises(InvalidArgument, match="row 2"):
        numbers_of(objects([1, 10**400]), "the column")


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_values_of_parquet_are_written_in_every_form(ending: str, tmp_path: Path) -> None:
    """Dates and decimals are written, as themselves or as their texts."""
    import datetime as dt
    import decimal

    values = [dt.date(2020, 1, 2), dt.date(2020, 1, 3)]
    sums = [decimal.Decimal("1.50"), None]
    path = tmp_path / f"rows{ending}"
    with table_written(path, ["day", "sum"]) as write:
        write(Rows(0, {"day": objects(values), "sum": objects(sums)}))
    found = read_all(open_table(path))
    assert ["2020-01-02", "2020-01-03"] == list(map(str, found.columns["day"]))
    assert "1.50" == str(found.columns["sum"][0])


def test_integers_beyond_columns_are_refused_in_parquet(tmp_path: Path) -> None:
    """A column that Parquet has no type for is named by its rows."""
    path = tmp_path / "rows.parquet"
    with (
        pytest.raises(InvalidArgument, match="other types"),
        table_written(path, ["a"]) as write,
    ):
        write(Rows(0, {"a": objects([10**30])}))
    assert not path.exists()
