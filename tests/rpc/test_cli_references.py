"""`headrace reference` and `headrace push --reference`, against a real registry."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.client.samples import MAX_ROWS, fitted
from headrace.datatypes import Datatype
from headrace.errors import InvalidArgument
from headrace.state.records import Signature, TensorSpec
from tests.rpc.registry_fixtures import onnx_file, running_registry
from tests.rpc.test_cli_access import Commands

NAMES = ("age", "income", "region", "flag")
RANDOM = np.random.default_rng(5)


def rows(count: int = 400) -> np.ndarray[Any, Any]:
    """Rows of four columns, of which the third has three values and some are missing."""
    made = RANDOM.normal(size=(count, 4))
    made[:, 2] = np.arange(count) % 3
    return made


def write_csv(path: Path, names: Sequence[str] = NAMES, count: int = 400) -> Path:
    """A table with a heading; every tenth value of the last column is missing."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(names)
        for number, row in enumerate(rows(count)):
            table.writerow([*row[:-1], "" if number % 10 == 0 else row[-1]])
    return path


def write_npz(path: Path) -> Path:
    """Arrays by the names of tensors."""
    np.savez(path, x=rows().astype(np.float32), y=rows())
    return path


def write_json(path: Path) -> Path:
    """Rows as objects."""
    path.write_text(json.dumps([dict(zip(NAMES, row, strict=True)) for row in rows().tolist()]))
    return path


def write_parquet(path: Path) -> Path:
    """A table with columns of a tensor by their places."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {f"x[{at}]": column for at, column in enumerate(rows().T)}
    parquet.write_table(pyarrow.table(columns), path)
    return path


WRITERS: tuple[tuple[str, Callable[[Path], Path]], ...] = (
    ("rows.csv", write_csv),
    ("rows.npz", write_npz),
    ("rows.json", write_json),
    ("rows.parquet", write_parquet),
)


async def test_references_by_commands(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pushed with rows, shown, set anew of any kind of file, enforced, copied, deleted."""
    graphs = [tmp_path / f"{number}.onnx" for number in range(2)]
    for number, graph in enumerate(graphs):
        graph.write_bytes(onnx_file(float(number)))
    table = str(write_csv(tmp_path / "pushed.csv"))
    async with running_registry(redis_url, namespace, tmp_path / "registry") as running:
        run = Commands(running, monkeypatch)
        pushed = await run("push", "churn", str(graphs[0]), "--reference", table)
        shown = await run("reference", "show", "churn", "--json")
        told = await run("reference", "show", "churn")
        made = [
            (
                await run("reference", "set", "churn/1", "--samples", str(write(tmp_path / name)))
            ).status
            for name, write in WRITERS
        ]
        words = ("input x[2]=reject", "input x[0]=flag")
        enforced = await run("reference", "enforce", "churn", *words)
        wrong = await run("reference", "enforce", "churn", "input x[9]=reject")
        no_word = await run("reference", "enforce", "churn", "input x[0]=forbid")
        await run("push", "churn", str(graphs[1]), "--alias", "next")
        copied = await run("reference", "set", "churn@next", "--from-version", "1", "--json")
        (tmp_path / "narrow.csv").write_text("age,income\n1,2\n")
        narrow = str(tmp_path / "narrow.csv")
        unfit = await run("push", "churn", str(graphs[1]), "--reference", narrow)
        deleted = await run("reference", "delete", "churn/1")
        gone = await run("reference", "show", "churn/1")
    fields = {field["name"]: field for field in shown.document["fields"]}
    assert (0, 0) == (pushed.status, shown.status)
    assert "its reference is of 400 rows" in pushed.output
    assert (400, "samples", "pushed.csv") == tuple(
        shown.document[name] for name in ("rows", "source", "origin")
    )
    assert ["0", "1", "2"] == fields["input x[2]"]["categories"]
    assert 0.1 == fields["input x[3]"]["missing_rate"]
    assert "10.0%" in told.output
    assert [0] * len(WRITERS) == made
    assert (0, "input x[2]: reject") == (enforced.status, enforced.output.splitlines()[1])
    assert "ENFORCEMENT_INVALID" in wrong.error
    assert "ENFORCEMENT_INVALID" in no_word.error
    assert ("version", "version 1, rows.parquet") == (
        copied.document["source"],
        copied.document["origin"],
    )
    assert (1, True) == (unfit.status, "SAMPLES_INVALID" in unfit.error)
    assert "version 3 of churn is pushed, without a reference" in unfit.error
    assert "`headrace reference set churn/3 --samples FILE`" in unfit.error
    assert (0, True) == (deleted.status, "REFERENCE_NOT_FOUND" in gone.error)


X = Signature(
    (TensorSpec("x", Datatype.FP32, (-1, 4)), TensorSpec("t", Datatype.BYTES, (-1, 1))),
    (TensorSpec("y", Datatype.FP32, (-1, 4)),),
)
ONLY = Signature(X.inputs[:1], X.outputs)
TEN = np.ones((10, 4))


@pytest.mark.parametrize(
    ("samples", "signature", "said"),
    [
        ({}, X, "no columns"),
        ({"x": np.ones((0, 4))}, X, "no rows"),
        ({"x": 3.0}, X, "one a row"),
        ({"x": TEN, "t": ["a"] * 9}, X, "different numbers of rows"),
        ({"x": TEN, "z": TEN}, X, "has no 'z'"),
        ({"a": [1], "b": [2]}, X, "the version 'y', 'x', 't'"),
        ({"a": [1], "b": [2]}, ONLY, "2 columns ('a', 'b'), and input 'x' has 4"),
        ({"x[0]": [1], "x[2]": [2]}, X, "x[1] is missing"),
        ({"x": [["one", "two", "3", "4"]]}, X, "no numbers"),
        (dict.fromkeys("abcd", TEN), ONLY, "several values a row"),
    ],
)
def test_samples_that_do_not_fit_are_refused(
    samples: dict[str, Any], signature: Signature, said: str
) -> None:
    """What is said names what there is, and what the version has."""
    with pytest.raises(InvalidArgument) as raised:
        fitted(samples, signature)
    assert "SAMPLES_INVALID" == raised.value.reason
    assert said in raised.value.message


def test_large_samples_are_thinned() -> None:
    """Rows at equal distances are taken, the first and the last among them."""
    values = np.arange(3.0 * MAX_ROWS)
    inputs, _ = fitted({"t": values.astype(str), "x": np.stack([values] * 4, 1)}, X)
    assert [0, values[-1]] == inputs["x"][[0, -1], 0].tolist()
    assert len(inputs["x"]) == len(inputs["t"]) == MAX_ROWS


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "x"),
        ("a.csv", ""),
        ("a.csv", "x\n"),
        ("a.csv", "x,y\n1\n"),
        ("a.csv", "x,x\n1,2\n"),
        ("a.json", "[1, 2]"),
        ("a.json", "{"),
        ("a.npz", "no zip"),
        ("a.parquet", "no table"),
    ],
)
async def test_files_that_hold_no_samples_are_refused(
    tmp_path: Path, name: str, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No service is asked."""
    path = tmp_path / name
    path.write_text(content)
    run = Commands(None, monkeypatch)  # type: ignore[arg-type]  # nothing is asked
    ended = await run("reference", "set", "churn", "--samples", str(path), address=False)
    assert (2, True) == (ended.status, str(path) in ended.error)
