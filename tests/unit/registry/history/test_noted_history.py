"""What a registry noted of the state's history, compared with a state that is found, and kept on disk."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from headrace.state.changes import Change, ChangedResource
from headrace.state.history import Point
from headrace_registry.adapters.shared_state.history_note import HistoryNote
from headrace_registry.domain.history.noted_history import (
    REVISIONS_SKIPPED,
    Noted,
    Verdict,
    adopted,
    given_out,
    judge,
    next_revision,
)

NOTED = Noted(Point("e2", 5, "h5"), frozenset({"e1"}), {"m": 3})


@pytest.mark.parametrize(
    ("found", "hash_at_noted", "expected"),
    [
        pytest.param(Point("e2", 5, "h5"), "h5", Verdict.CONTINUED, id="the same"),
        pytest.param(Point("e2", 9, "h9"), "h5", Verdict.CONTINUED, id="a newer one"),
        pytest.param(Point("e2", 9, "h9"), None, Verdict.CONTINUED, id="newer, and trimmed"),
        pytest.param(Point("e2", 4, "h4"), None, Verdict.LOST, id="an older one"),
        pytest.param(Point("e2", 5, "x5"), None, Verdict.LOST, id="another change at the end"),
        pytest.param(Point("e2", 9, "x9"), "x5", Verdict.LOST, id="went back and was written on"),
        pytest.param(Point("e1", 9, "h9"), "h5", Verdict.LOST, id="an epoch of before"),
        pytest.param(Point("e3", 0, ""), None, Verdict.LOST, id="emptied and begun anew"),
        pytest.param(Point("e3", 15, "h"), None, Verdict.OTHER, id="an epoch of another registry"),
    ],
)
def test_a_state_is_compared_with_what_was_noted(
    found: Point, hash_at_noted: str | None, expected: Verdict
) -> None:
    """A state that lacks what was noted is told from one that has more."""
    assert expected == judge(NOTED, found, hash_at_noted)


def test_a_new_epoch_begins_behind_all_revisions() -> None:
    """Those that were noted, those that are there, and those whose entries alone are left."""
    found = Point("e2", 4, "h4")
    assert 5 + REVISIONS_SKIPPED == next_revision(NOTED, found, 4)
    assert 8 + REVISIONS_SKIPPED == next_revision(NOTED, found, 8)


def test_epochs_of_before_are_kept() -> None:
    """What was left can be told from what others began."""
    begun = Point("e3", 15, "h15")
    assert frozenset({"e1", "e2"}) == adopted(NOTED, Point("e2", 4, "h4"), {}, begun).past
    assert frozenset({"e1"}) == adopted(NOTED, Point("e2", 6, "h6"), {}).past


def test_a_push_gives_out_a_number() -> None:
    """No other change does."""
    assert {"m": 7} == given_out(Change(1, "version.push", "models/m/versions/7", "a", 0.0, ""))
    other = ChangedResource("version.push", "models/n/versions/2")
    both = Change(1, "version.push", "models/m/versions/7", "a", 0.0, "", further=(other,))
    assert {"m": 7, "n": 2} == given_out(both)
    assert {} == given_out(Change(1, "version.delete", "models/m/versions/7", "a", 0.0, ""))


async def test_a_note_is_there_after_a_restart(tmp_path: Path) -> None:
    """Points, epochs and numbers of an adopted state and of later changes; a torn line costs itself."""
    note = HistoryNote(tmp_path, "default")
    assert note.noted is None
    await note.adopt(NOTED)
    await note.reach(Point("e2", 6, "h6"), {"m": 4})
    await note.adopt(note.noted or Noted())
    await note.reach(Point("e2", 6, "h6"))
    await note.reach(Point("e2", 7, "h7"))
    await note.reach(Point("e2", 4, "h4"))
    await note.reserve({"n": 1})
    (file,) = (tmp_path / "history").iterdir()
    file.write_bytes(file.read_bytes() + b'{"point":{"epo')
    again = HistoryNote(tmp_path, "default")
    expected = Noted(Point("e2", 7, "h7"), frozenset({"e1"}), {"m": 4, "n": 1})
    assert expected == again.noted
    await again.reach(Point("e2", 8, "h8"))
    third = HistoryNote(tmp_path, "default").noted
    assert third is not None
    assert Point("e2", 8, "h8") == third.point
    assert 1 == len(file.read_bytes().splitlines())
    assert HistoryNote(tmp_path, "other").noted is None
    assert 0o600 == file.stat().st_mode & 0o777


async def test_a_note_of_many_changes_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written anew when it has many lines."""
    monkeypatch.setattr("headrace_registry.adapters.shared_state.history_note._MAX_LINES", 20)
    note = HistoryNote(tmp_path, "default")
    await note.adopt(Noted(Point("e", 1, "h1")))
    for revision in range(2, 200):
        await note.reach(Point("e", revision, f"h{revision}"), {f"m{revision % 3}": revision})
    (file,) = (tmp_path / "history").iterdir()
    assert len(file.read_bytes().splitlines()) <= 20
    assert note.noted == HistoryNote(tmp_path, "default").noted


async def test_a_note_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Changes go on, and the note is whole again when it can be written."""
    (tmp_path / "history").write_text("no folder")
    note = HistoryNote(tmp_path, "default")
    await note.adopt(NOTED)
    await note.reach(Point("e2", 6, "h6"))
    assert note.problem
    assert [logging.ERROR] == [record.levelno for record in caplog.records]
    (tmp_path / "history").unlink()
    await note.reach(Point("e2", 7, "h7"))
    assert not note.problem
    again = HistoryNote(tmp_path, "default").noted
    assert again is not None
    assert (Point("e2", 7, "h7"), {"m": 3}) == (again.point, again.numbers)
