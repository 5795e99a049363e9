"""Rows of files and folders, and their fit to inputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headrace.datatype_names import Datatype
from headrace.errors import InvalidArgument
from headrace.lifecycle.tables import Rows, fit, open_table, read_all, table_written
from headrace.lifecycle.tables.rows import joined_columns
from headrace.state.records import Signature, TensorSpec

ROWS = [(age, f"t{age}", age % 2) for age in range(10)]


def spec(name: str, datatype: Datatype, *shape: int) -> TensorSpec:
    return TensorSpec(name, datatype, shape)


def csv(folder: Path) -> Path:
    path = folder / "rows.csv"
    lines = [f"{age},{text},{label}" for age, text, label in ROWS]
    path.write_text("\n".join(["age,text,label", *lines]))
    return path


def json_lines(folder: Path) -> Path:
    path = folder / "rows.jsonl"
    objects = ({"age": age, "text": text, "label": label} for age, text, label in ROWS)
    path.write_text("\n".join(map(json.dumps, objects)))
    return path


def npz(folder: Path) -> Path:
    path = folder / "rows.npz"
    age, text, label = (np.array(column) for column in zip(*ROWS, strict=True))
    np.savez(path, age=age, text=text, label=label)
    return path


def parquet(folder: Path) -> Path:
    from pyarrow import parquet as files
    from pyarrow import table

    path = folder / "rows.parquet"
    names = ("age", "text", "label")
    columns = dict(zip(names, map(list, zip(*ROWS, strict=True)), strict=True))
    files.write_table(table(columns), path, row_group_size=4)
    return path


@pytest.mark.parametrize("write", [csv, json_lines, npz, parquet])
def test_forms_give_the_same_rows(write: Callable[[Path], Path], tmp_path: Path) -> None:
    """Each form has the same columns and rows, from any place on."""
    source = open_table(write(tmp_path))
    assert ("age", "text", "label") == source.columns
    chunks = list(source.chunks(3, start=4))
    assert 4 == chunks[0].start
    ages = [int(age) for chunk in chunks for age in chunk.columns["age"]]
    assert list(range(4, 10)) == ages
    texts = [str(text) for text in read_all(source, limit=2).columns["text"]]
    assert ["t0", "t1"] == texts
    assert 64 == len(source.digest())


def test_folder_has_a_row_for_each_file(tmp_path: Path) -> None:
    """Subfolders are classes, hidden files are none, and the digest follows the bytes."""
    for path, text in (("cat/1.txt", "a"), ("dog/1.txt", "b"), (".hidden/x", "c")):
        place = tmp_path / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    source = open_table(tmp_path)
    rows = read_all(source)
    assert ["cat", "dog"] == list(rows.columns["class"])
    assert "b" == rows.columns["file"][1].read_text()
    before = source.digest()
    (tmp_path / "dog/1.txt").write_text("z")
    assert before != open_table(tmp_path).digest()


def test_columns_become_the_inputs_of_their_names(tmp_path: Path) -> None:
    """Each input gets its datatype, and the target is none."""
    source = open_table(csv(tmp_path))
    inputs = (spec("age", Datatype.INT64, -1, 1), spec("text", Datatype.BYTES, -1))
    fitting = fit(Signature(inputs, ()), source.columns, without=["label"])
    tensors = fitting.tensors(read_all(source))
    assert (10, 1) == tensors["age"].shape
    assert np.int64 == tensors["age"].dtype
    assert b"t9" == tensors["text"][9]


def test_columns_become_the_only_input(tmp_path: Path) -> None:
    """Columns that no input is named as are its values, in their order."""
    source = open_table(csv(tmp_path))
    signature = Signature((spec("x", Datatype.FP32, -1, 2),), ())
    tensors = fit(signature, source.columns, without=["text"]).tensors(read_all(source))
    assert [[9.0, 1.0]] == tensors["x"][9:].tolist()
    chosen = {"x": ["label", "age"]}
    turned = fit(signature, source.columns, chosen=chosen).tensors(read_all(source))
    assert [[1.0, 9.0]] == turned["x"][9:].tolist()


@pytest.mark.parametrize(
    ("text", "datatype", "wrong"),
    [
        ("300", Datatype.UINT8, "'300' in row 2"),
        ("1.5", Datatype.INT32, "'1.5' in row 2"),
        ("", Datatype.INT64, "'' in row 2"),
        ("many", Datatype.FP32, "'many' in row 2"),
    ],
)
def test_values_that_do_not_fit_are_named(
    text: str, datatype: Datatype, wrong: str, tmp_path: Path
) -> None:
    """Nothing is rounded, cut or guessed, and the row is named."""
    path = tmp_path / "rows.csv"
    path.write_text(f"x,y\n1,1\n{text},2\n")
    source = open_table(path)
    fitting = fit(Signature((spec("x", datatype, -1),), ()), source.columns)
    with pytest.raises(InvalidArgument, match=wrong) as caught:
        fitting.tensors(read_all(source))
    assert "ROWS_INVALID" == caught.value.reason


def test_large_integers_and_missing_numbers_stay_what_they_are(tmp_path: Path) -> None:
    """2^53 + 1 is no float, and a missing number is NaN where the input takes floats."""
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n9007199254740993,\n")
    signature = Signature((spec("x", Datatype.INT64, -1), spec("y", Datatype.FP32, -1)), ())
    source = open_table(path)
    tensors = fit(signature, source.columns).tensors(read_all(source))
    assert 9007199254740993 == tensors["x"][0]
    assert np.isnan(tensors["y"][0])


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("x.csv", "", "is empty"),
        ("x.csv", "a,a\n1,2\n", "the same name"),
        ("x.csv", "a,b\n1\n", "line 2, has 1 columns"),
        ("x.jsonl", "[1]\n", "line 1 is no JSON object"),
        ("x.jsonl", "{\n", "line 1 is no JSON"),
        ("x.npz", "nonsense", "is no .npz"),
        ("x.parquet", "nonsense", "is no Parquet file"),
        ("x.xls", "", "neither a folder nor one of"),
    ],
)
def test_files_that_cannot_be_read_are_refused(
    name: str, content: str, wrong: str, tmp_path: Path
) -> None:
    """The message says what is wrong with which file."""
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InvalidArgument, match=wrong):
        list(open_table(path).chunks(10))


@pytest.mark.parametrize("write", [csv, json_lines, npz, parquet])
def test_reading_goes_on_where_it_stopped(write: Callable[[Path], Path], tmp_path: Path) -> None:
    """Pieces have the rows that were asked for, and the mark of each is where the next begins."""
    source = open_table(write(tmp_path))
    pieces = list(source.chunks(3))
    assert [3, 3, 3, 1] == [len(piece) for piece in pieces]
    for piece in pieces[:-1]:
        behind = piece.start + len(piece)
        rest = list(source.chunks(3, behind, piece.mark))
        assert [behind, behind + 3][: len(rest)] == [each.start for each in rest][:2]
        ages = [int(age) for each in rest for age in each.columns["age"]]
        assert [row[0] for row in ROWS[behind:]] == ages


def test_rows_of_several_lines_have_marks(tmp_path: Path) -> None:
    """A quoted line break belongs to its row, also behind a mark of bytes in front."""
    path = tmp_path / "rows.csv"
    path.write_text('\ufefftext,n\n"a\nb",1\n"é\r\nd",2\ne,3\n', encoding="utf-8", newline="")
    source = open_table(path)
    first, *_ = source.chunks(1)
    second, third = source.chunks(1, 1, first.mark)
    assert ("text", "n") == source.columns
    assert ["a\nb", "é\r\nd", "e"] == [each.columns["text"][0] for each in (first, second, third)]


def test_large_whole_numbers_beside_fractions_stay_what_they_are(tmp_path: Path) -> None:
    """A number above 2^53 is not rounded since another row of its column has a fraction."""
    path = tmp_path / "rows.jsonl"
    path.write_text('{"n": 9007199254740993}\n{"n": 0.5}\n{"n": -1}\n{"n": 18446744073709551615}\n')
    whole, mixed = read_all(open_table(path)).columns["n"], list(open_table(path).chunks(2))
    assert [9007199254740993, 0.5, -1, 18446744073709551615] == list(whole)
    assert object == mixed[0].columns["n"].dtype


def test_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """It is told, instead of a bug."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"t": "\xff"}\n')
    with pytest.raises(InvalidArgument, match="not in UTF-8"):
        open_table(path)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_written_rows_are_read_again(ending: str, tmp_path: Path) -> None:
    """Numbers, texts and missing values come back as they were, in their order."""
    path = tmp_path / f"rows{ending}"
    columns = {"n": np.arange(5), "t": np.array(["a", None, "c,\n", "d", "é"], dtype=object)}
    with table_written(path, tuple(columns)) as write:
        write(Rows(0, {name: column[:2] for name, column in columns.items()}))
        write(Rows(2, {name: column[2:] for name, column in columns.items()}))
    found = read_all(open_table(path)).columns
    assert list(range(5)) == [int(n) for n in found["n"]]
    assert ["a", None, "c,\n", "d", "é"] == [text or None for text in found["t"]]


def test_lists_of_one_length_are_arrays_and_others_stay_lists(tmp_path: Path) -> None:
    """Of all rows, or of a piece; whoever reads all of them has lists then."""
    from pyarrow import parquet as files
    from pyarrow import table

    path = tmp_path / "rows.parquet"
    files.write_table(table({"x": [[1.5, 2.5], [3.5, 4.5], [5.5], [None]]}), path)
    first, second = open_table(path).chunks(2)
    assert [[1.5, 2.5], [3.5, 4.5]] == first.columns["x"].tolist()
    assert (2, 1) == (first.columns["x"].ndim, second.columns["x"].ndim)
    everything = joined_columns([first.columns["x"], second.columns["x"]])
    assert [[1.5, 2.5], [3.5, 4.5], [5.5], [None]] == everything.tolist()


def test_a_file_that_is_not_finished_is_none(tmp_path: Path) -> None:
    """Where writing fails nothing stays, and what was there before is there still."""
    path = tmp_path / "rows.csv"
    path.write_text("n\n1\n")
    with pytest.raises(KeyError), table_written(path, ["n"]) as write:
        write(Rows(0, {"m": np.arange(2)}))
    assert "n\n1\n" == path.read_text()
    assert ["rows.csv"] == [each.name for each in tmp_path.iterdir()]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_columns_that_no_comma_separates_are_told(mark: str, tmp_path: Path) -> None:
    """As spreadsheets of many countries write them; they would be one column otherwise."""
    path = tmp_path / "rows.csv"
    path.write_text(mark.join(["age", "label"]) + "\n" + mark.join(["1,5", "0"]) + "\n")
    with pytest.raises(InvalidArgument, match="separated by commas, not by"):
        open_table(path)
