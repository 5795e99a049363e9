"""Masks of data sets, and how many rows stay alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.cli.app import run
from headrace.errors import InvalidArgument
from headrace.lifecycle.masking import dataset_masks, group_sizes
from headrace.lifecycle.tables import Rows, open_table, read_all
from headrace.lifecycle.tables.text_files import objects

KEY = b"0123456789abcdef"


def rows_of(**columns: list[object]) -> Rows:
    return Rows(0, {name: objects(values) for name, values in columns.items()})


def test_patterns_look_into_every_text_and_into_long_numbers() -> None:
    """An address in a note, one in a list, and the number of a card that is no text."""
    masks = dataset_masks(["email", "card"])
    masked = masks.apply(
        rows_of(
            note=["write to ann@example.org", None],
            many=[["ann@example.org", "x"], []],
            number=[4111111111111111, 7],
            share=[0.5, 1.5],
        )
    ).columns
    assert ["write to [email]", None] == masked["note"].tolist()
    assert [["[email]", "x"], []] == masked["many"].tolist()
    assert ["[card]", 7] == masked["number"].tolist()
    assert [0.5, 1.5] == masked["share"].tolist()
    assert (1, 2) == (masks.counts["note"].changed, masks.counts["note"].values)


def test_columns_are_masked_hashed_dropped_and_made_coarser() -> None:
    """Rules name columns; the same value has the same hash."""
    rules = ["name=hash", "secret=drop", "age=round:5", "zip=keep:2", "born=year"]
    masks = dataset_masks([f"column:{rule}" for rule in rules], key=KEY)
    rows = rows_of(
        name=["Ann", "Bob", "Ann"],
        secret=["a", "b", "c"],
        age=[37, 40, None],
        zip=["10115", "10117", ""],
        born=["1989-04-01", "1990-12-31T10:00", None],
    )
    assert ("name", "age", "zip", "born") == masks.kept(tuple(rows.columns))
    masked = {name: column.tolist() for name, column in masks.apply(rows).columns.items()}
    assert masked["name"][0] == masked["name"][2] != masked["name"][1]
    assert "Ann" not in masked["name"][0]
    assert [35, 40, None] == masked["age"]
    assert ["10", "10", ""] == masked["zip"]
    assert ["1989", "1990", None] == masked["born"]
    assert "secret" not in masked


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("column:age=round:0", "over 0"),
        ("column:age=keep:1.5", "over 0"),
        ("column:age=shuffle", "round:STEP"),
        ("column:age=hash", "a key"),
        ("emails", "column:NAME"),
    ],
)
def test_rules_that_say_nothing_are_refused(rule: str, wrong: str) -> None:
    """The message says what may stand there."""
    with pytest.raises(ValueError, match=wrong):
        dataset_masks([rule])


def test_values_that_cannot_be_made_coarser_are_named() -> None:
    """The column and the row are said, and nothing is passed on unmasked."""
    with pytest.raises(InvalidArgument, match="column 'age', row 2: 'many'"):
        dataset_masks(["column:age=round:5"]).apply(rows_of(age=["1", "many"]))
    with pytest.raises(InvalidArgument, match="no column 'ages'"):
        dataset_masks(["column:ages=drop"]).kept(["age"])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1), st.integers(1, 5))
def test_groups_are_those_of_equal_rows(pairs: list[tuple[int, int]], wanted: int) -> None:
    """Sizes, the smallest, and rows in small groups, as counted one by one."""
    columns = {"a": np.array([a for a, _ in pairs]), "b": np.array([b for _, b in pairs])}
    found = group_sizes([Rows(0, columns)], ["a", "b"], wanted)
    sizes = [pairs.count(pair) for pair in pairs]
    assert (len(set(pairs)), min(sizes)) == (found.groups, found.smallest)
    assert sum(size < wanted for size in sizes) == found.rows_below


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_command_masks_a_file(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every form, groups counted after masking, and status 1 where one is too small."""
    source, target = tmp_path / "people.csv", tmp_path / f"masked{ending}"
    source.write_text("mail,age,zip\nann@x.org,37,10115\nbob@x.org,39,10117\neve@x.org,12,80331\n")
    rules = ["--mask", "email", "--mask", "column:age=round:5", "--mask", "column:zip=keep:2"]
    paths = ["--input", str(source), "--output", str(target)]
    groups = ["--identifying", "age,zip", "--min-group", "2"]
    assert 1 == run(["dataset", "mask", *paths, *rules, *groups, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (2, 1, 1) == tuple(told["groups"][key] for key in ("groups", "smallest", "rows_below"))
    columns = read_all(open_table(target)).columns
    assert ["[email]"] * 3 == columns["mail"].tolist()
    assert ["35", "35", "10"] == [str(age) for age in columns["age"]]
    assert ["masked" + ending, "people.csv"] == sorted(path.name for path in tmp_path.iterdir())


def test_command_leaves_nothing_behind_where_it_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row that cannot be masked ends it without a file; the input is never overwritten."""
    source, target = tmp_path / "people.csv", tmp_path / "masked.csv"
    source.write_text("age\n1\nmany\n")
    mask = ["dataset", "mask", "--input", str(source), "--mask", "column:age=round:5"]
    assert 0 != run([*mask, "--output", str(target)])
    assert "row 2" in capsys.readouterr().err
    assert 0 != run([*mask, "--output", str(source)])
    assert ["people.csv"] == [path.name for path in tmp_path.iterdir()]
