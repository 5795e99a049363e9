"""Batches: all forms, refused rows, and going on after a kill."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace import errors
from headrace.lifecycle.batches import BatchReport, run_batch
from headrace.lifecycle.batches.journal import held, journal_folder
from headrace.lifecycle.tables import open_table, read_all
from tests.unit.headrace.lifecycle.batches.served import BAD, Counter, Pushed, client_of

LARGE = 2**53 + 1
NUMBERS = [10, LARGE, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]


def rows(folder: Path, numbers: list[int] = NUMBERS) -> Path:
    path = folder / "rows.csv"
    path.write_text("".join(["n,id\n", *(f"{number},id {number}\n" for number in numbers)]))
    return path


async def run(
    source: Path, output: Path, counter: Counter | None = None, **options: Any
) -> BatchReport:
    client = client_of(counter or Counter())
    return await run_batch(client, "counter", source, output, **{"rows_per_part": 5} | options)


async def test_csv_has_a_column_for_each_value(tmp_path: Path) -> None:
    """Integers above 2^53, halves, texts with quotes, and lists of any length come out as they are."""
    out = tmp_path / "out.csv"
    report = await run(rows(tmp_path), out, keep=["id"])
    with out.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    heading = ["_row", "id", "next", "halves[0]", "halves[1]", "rough", "text", "ragged", "_error"]
    assert heading == list(found[0])
    assert [str(number + 1) for number in NUMBERS] == [row["next"] for row in found]
    assert [str(place) for place in range(1, 13)] == [row["_row"] for row in found]
    assert ("-5.0", "10.0", '"10",é') == (
        found[0]["halves[1]"],
        found[0]["rough"],
        found[0]["text"],
    )
    assert [1.5] * 2 == json.loads(found[0]["ragged"])
    assert (12, 0, 3, 0) == (report.rows, report.failed, report.parts, report.rows_found)
    assert not journal_folder(out).exists()


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet", "out"])
async def test_other_forms_have_lists(name: str, tmp_path: Path) -> None:
    """JSON Lines, Parquet and a folder of it have the same rows, lists for several values."""
    out = tmp_path / name
    await run(rows(tmp_path), out, keep=["id"])
    found = read_back(out)
    assert [number + 1 for number in NUMBERS] == [row["next"] for row in found]
    assert [-5.0, 10.0, '"10",é', None, "id 10"] == [
        found[0]["halves"][1],
        found[0]["rough"],
        found[0]["text"],
        found[0]["_error"],
        found[0]["id"],
    ]
    assert {2, 3, 1} == {len(row["ragged"]) for row in found}


def read_back(out: Path) -> list[dict[str, Any]]:
    if out.suffix == ".jsonl":
        return [json.loads(line) for line in out.read_text().splitlines()]
    from pyarrow import parquet

    files = sorted(out.iterdir()) if out.is_dir() else [out]
    return [row for file in files for row in parquet.ParquetFile(file).read().to_pylist()]


@pytest.mark.parametrize("name", ["in.jsonl", "in.npz", "in.parquet"])
async def test_all_forms_of_input_give_the_same(name: str, tmp_path: Path) -> None:
    """What was written is read again, and gives the same bytes as the CSV."""
    path = tmp_path / name
    write_input(path)
    await run(path, tmp_path / "a.csv")
    await run(rows(tmp_path), tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


def write_input(path: Path) -> None:
    if path.suffix == ".npz":
        np.savez(path, n=np.array(NUMBERS))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps({"n": number}) for number in NUMBERS))
    else:
        from pyarrow import parquet, table

        parquet.write_table(table({"n": NUMBERS}), path, row_group_size=4)


async def test_outputs_keep_their_types_in_parquet(tmp_path: Path) -> None:
    """Halves stay halves, and what Parquet has no type for takes the next that holds all of it."""
    from pyarrow import parquet

    out = tmp_path / "out.parquet"
    await run(rows(tmp_path, [BAD, 1, BAD]), out, outputs=["next", "halves", "rough", "text"])
    types = {field.name: str(field.type) for field in parquet.read_schema(out)}
    assert types["halves"].startswith("list<")
    assert "halffloat" in types["halves"]
    assert ("int64", "float", "string", "string") == (
        types["next"],
        types["rough"],
        types["text"],
        types["_error"],
    )
    first, second, _ = read_back(out)
    assert [None, None, None, None] == [first[n] for n in ("next", "halves", "rough", "text")]
    assert (2, [0.5, -0.5]) == (second["next"], second["halves"])


async def test_a_refused_row_costs_no_other_its_answer(tmp_path: Path) -> None:
    """It is found by halving, and says why; so does one that is no number."""
    path = tmp_path / "rows.csv"
    path.write_text("n\n1\n2\n7\n4\nx\n6\n")
    report = await run(path, tmp_path / "out.jsonl", outputs=["next"])
    found = read_back(tmp_path / "out.jsonl")
    assert [2, 3, None, 5, None, 7] == [row["next"] for row in found]
    assert f"DATA_OUT_OF_SCHEMA: {BAD} is not allowed" == found[2]["_error"]
    assert "row 5" in found[4]["_error"]
    assert (2, [2, 4]) == (report.failed, [each.place for each in report.refusals])


async def test_a_refused_row_may_end_the_batch(tmp_path: Path) -> None:
    """The row is named, and what was finished before is kept."""
    out = tmp_path / "out.csv"
    with pytest.raises(errors.InvalidArgument, match="row 8 is refused") as caught:
        await run(rows(tmp_path, list(range(9))), out, on_error="fail")
    assert "DATA_OUT_OF_SCHEMA" == caught.value.reason
    assert not out.exists()
    assert journal_folder(out).exists()


async def test_a_limit_ends_within_a_part(tmp_path: Path) -> None:
    """Only the first rows are asked for and written."""
    counter = Counter()
    await run(rows(tmp_path), tmp_path / "out.jsonl", counter, limit=7)
    assert (7, 7) == (len(read_back(tmp_path / "out.jsonl")), len(counter.asked))


async def test_replicas_are_asked_in_the_background(tmp_path: Path) -> None:
    """Every request says that others go before it."""
    counter = Counter()
    await run(rows(tmp_path), tmp_path / "out.csv", counter)
    assert all(each == {"headrace_background": True} for each in counter.parameters)


def test_output_after_kills_is_that_of_one_run(tmp_path: Path) -> None:
    """Killed with -9 at several flushes to the disk, it goes on, and the output is equal byte for byte."""
    source, once = rows(tmp_path), tmp_path / "once.parquet"
    assert 0 == run_killed(source, once, 0)
    out = tmp_path / "out.parquet"
    for flush in (
        4,
        9,
        5,
    ):  # while the first parts are written, while a noted part is, while gathering
        assert -signal.SIGKILL == run_killed(source, out, flush)
        assert not out.exists()
    assert 0 == run_killed(source, out, 0)
    assert once.read_bytes() == out.read_bytes()


def run_killed(source: Path, output: Path, flush: int) -> int:
    module = "tests.unit.headrace.lifecycle.batches.killed"
    command = [sys.executable, "-m", module, str(source), str(output), str(flush)]
    return subprocess.run(command, check=False, env=dict(os.environ)).returncode


async def test_only_what_is_missing_is_asked_again(tmp_path: Path) -> None:
    """A part that was finished is not asked for, one whose file is damaged is."""
    source, out = rows(tmp_path), tmp_path / "out.csv"
    await end_after(2, source, out)
    damaged = journal_folder(out) / "part-000001"  # the last may be finished too, or not
    damaged.write_bytes(b"damaged")
    kept = {part for part in range(3) if (damaged.parent / f"part-{part:06d}").exists()} - {1}
    counter = Counter()
    report = await run(source, out, counter)
    missing = [number for place, number in enumerate(NUMBERS) if place // 5 not in kept]
    assert sorted(missing) == sorted(counter.asked)
    assert (12 - len(missing), 12) == (report.rows_found, report.rows)


async def end_after(parts: int, source: Path, out: Path, **options: Any) -> None:
    """Run a batch that ends when so many parts are finished."""

    class Ended(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.rows >= parts * 5:
            raise Ended

    with pytest.raises(Ended):
        await run(source, out, on_progress=stop, **options)


@pytest.mark.parametrize(
    ("changed", "options", "pushed"),
    [
        ("source_digest", {}, Pushed()),
        ("version_digest", {}, Pushed(digest="e" * 64)),
        ("version", {}, Pushed(number=2)),
        ("rows_per_part", {"rows_per_part": 6}, Pushed()),
        ("keep", {"keep": ["id"]}, Pushed()),
    ],
)
async def test_going_on_with_something_else_is_refused(
    changed: str, options: dict[str, Any], pushed: Pushed, tmp_path: Path
) -> None:
    """The input, the version and the options are those that it was begun with, or it is begun anew."""
    source, out = rows(tmp_path), tmp_path / "out.csv"
    await end_after(1, source, out)
    if changed == "source_digest":
        rows(tmp_path, NUMBERS[:-1])
    with pytest.raises(errors.FailedPrecondition) as caught:
        await run(source, out, Counter(pushed), **options)
    assert ("BATCH_CHANGED", changed) == (caught.value.reason, caught.value.facts["changed"])
    report = await run(source, out, Counter(pushed), restart=True, **options)
    assert 0 == report.rows_found


async def test_an_output_that_is_there_stays(tmp_path: Path) -> None:
    """It is replaced when that is asked for."""
    out = tmp_path / "out.csv"
    out.write_text("mine")
    with pytest.raises(errors.AlreadyExists) as caught:
        await run(rows(tmp_path), out)
    assert ("OUTPUT_EXISTS", "mine") == (caught.value.reason, out.read_text())
    await run(rows(tmp_path), out, restart=True)
    assert 12 == len(read_all(open_table(out)))


async def test_who_is_ended_before_telling_tells_when_asked_again(tmp_path: Path) -> None:
    """The output is there then, and the same call says what was done, and asks for nothing."""
    source, out = rows(tmp_path), tmp_path / "out.csv"

    def end(_: BatchReport) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await run(source, out, on_finished=end)
    written = out.read_bytes()
    counter = Counter()
    report = await run(source, out, counter)
    assert (12, 12, []) == (report.rows, report.rows_found, counter.asked)
    assert written == out.read_bytes()
    assert not journal_folder(out).exists()


async def test_two_do_not_work_at_one_output(tmp_path: Path) -> None:
    """The second is told."""
    source, out = rows(tmp_path), tmp_path / "out.csv"
    await end_after(1, source, out)
    with held(journal_folder(out)), pytest.raises(errors.FailedPrecondition) as caught:
        await run(source, out)
    assert "BATCH_RUNNING" == caught.value.reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ["nothing"]}, "no column 'nothing'"),
        ({"outputs": ["nothing"]}, "no output 'nothing'"),
        ({"rows_per_part": 0}, "one row at least"),
        ({"limit": 0}, "one row at least"),
    ],
)
async def test_what_cannot_be_done_is_told_first(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """Before any row is asked for, and nothing is left behind."""
    out = tmp_path / "out.csv"
    with pytest.raises(errors.InvalidArgument, match=message) as caught:
        await run(rows(tmp_path), out, **options)
    assert "BATCH_INVALID" == caught.value.reason
    assert not journal_folder(out).exists()


async def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """What was finished is kept, and the same goes on when there is room."""
    source, out = rows(tmp_path), tmp_path / "out.csv"
    await end_after(1, source, out)
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        with pytest.raises(errors.ResourceExhausted) as caught:
            await run(source, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "BATCH_DISK_FULL" == caught.value.reason
    assert (await run(source, out)).rows_found
