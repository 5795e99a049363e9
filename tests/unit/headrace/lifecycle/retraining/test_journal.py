"""What is on disk of a run, however it was cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import DataLoss, Unavailable
from headrace.lifecycle.retraining.journal import Event, Journal, Outcome, Step

EVENTS = [
    Event(run="r1", at=1.0, because="asked for"),
    Event(run="r1", at=2.0, step=Step.TRAIN),
    Event(run="r1", at=3.0, step=Step.TRAIN, done=True, facts={"out": "/é"}),
    Event(run="r1", at=4.0, step=Step.PUSH),
    Event(run="r1", at=5.0, step=Step.PUSH, done=True, facts={"version": "2"}),
    Event(run="r1", at=6.0, outcome=Outcome.REJECTED, said="accuracy"),
    Event(run="r2", at=7.0, because="schedule"),
]


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """The next step is the first that is not done, and facts of done ones are there."""
    journal = Journal(tmp_path)
    for event in EVENTS[:4]:
        journal.note(event)
    run = Journal(tmp_path).runs["r1"]
    assert (Step.PUSH, Step.PUSH) == (run.next_step, run.begun and run.begun.step)
    assert {"out": "/é"} == dict(run.facts)
    for event in EVENTS[4:]:
        journal.note(event)
    again = Journal(tmp_path)
    assert again.runs["r1"].next_step is None
    assert again.newest is again.runs["r2"]
    assert Step.TRAIN == again.runs["r2"].next_step


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_cut_line_is_as_if_it_was_never_written(data: st.DataObject) -> None:
    """Whatever byte a kill stops at: whole lines count, and the next one is whole again."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        for event in EVENTS:
            journal.note(event)
        path = Path(folder) / "journal.jsonl"
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        reopened = Journal(Path(folder))
        reopened.note(Event(run="r3", at=9.0, because="again"))
        lines = path.read_bytes().splitlines()
        assert kept + 1 == len(lines)
        assert whole.splitlines()[:kept] == lines[:kept]
        assert "r3" in Journal(Path(folder)).runs


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """A line that is being written is not cut by who looks meanwhile; no folder is made by looking."""
    journal = Journal(tmp_path)
    journal.note(EVENTS[0])
    path = tmp_path / "journal.jsonl"
    half = path.read_bytes() + b'{"run":"r1"'
    path.write_bytes(half)
    assert ["r1"] == list(Journal(tmp_path).runs)
    assert half == path.read_bytes()
    assert {} == Journal(tmp_path / "none").runs
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="only some systems have a disk that is full"
)
def test_a_full_disk_is_told_and_nothing_half_is_kept(tmp_path: Path) -> None:
    """It may heal: the same is noted once there is room."""
    journal = Journal(tmp_path)
    (tmp_path / "journal.jsonl").symlink_to("/dev/full")
    with pytest.raises(Unavailable, match="cannot be written") as caught:
        journal.note(EVENTS[0])
    (tmp_path / "journal.jsonl").unlink()
    journal.note(EVENTS[0])
    assert ["r1"] == list(Journal(tmp_path).runs)
    assert "JOURNAL_UNWRITABLE" == caught.value.reason


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    """With what to do about it."""
    (tmp_path / "journal.jsonl").write_bytes(b'{"run":"r1","at":1.0}\nnonsense\n')
    with pytest.raises(DataLoss, match=r"line 2 .*--state"):
        Journal(tmp_path)
