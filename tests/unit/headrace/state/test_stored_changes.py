"""Verifies the chain of hashes over entries of the log."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headrace.state.changes import EPOCH_BEGINS, Change, Origin, decode_change, encode_change
from headrace.state.stored_changes import ChainCheck, StoredChange, line_of, read_line


def chained(*revisions: int, kinds: Sequence[str] = ()) -> list[StoredChange]:
    """Entries with these revisions, each of which names the one before it."""
    entries: list[StoredChange] = []
    for place, revision in enumerate(revisions):
        kind = kinds[place] if kinds else "model.create"
        before = entries[-1].hash if entries else ""
        entry = encode_change(Change(revision, kind, "models/m", "ann", 1.0, before))
        entries.append(StoredChange(revision, entry))
    return entries


def breaks(entries: Sequence[StoredChange]) -> list[str]:
    """What is wrong with them."""
    check = ChainCheck()
    for entry in entries:
        check.take(entry)
    return check.breaks


def test_a_whole_chain_is_whole_wherever_it_begins() -> None:
    """The entries before the first one may be gone."""
    entries = chained(7, 8, 9)
    assert [] == breaks(entries) == breaks(entries[1:])


@pytest.mark.parametrize(
    ("place", "entry", "says"),
    [
        (1, StoredChange(8, b"{"), "change 8 cannot be read"),
        (1, StoredChange(8, chained(8)[0].entry), "change 8 follows on another change 7"),
        (1, StoredChange(8, chained(7, 9)[1].entry), "change 8 says that it is change 9"),
        (2, chained(7, 8, 10)[2], "change 10 comes after change 8"),
        (0, StoredChange(7, chained(7, kinds=["x"])[0].entry), "change 8 follows on another"),
    ],
)
def test_a_break_is_named(place: int, entry: StoredChange, says: str) -> None:
    """An entry in the place of another one."""
    entries = chained(7, 8, 9)
    entries[place] = entry
    assert breaks(entries)[0].startswith(says)


def test_the_end_is_compared_with_the_state() -> None:
    """Entries that were added meanwhile are no break, one that is missing or another is."""
    entries = chained(1, 2, 3)
    ends = [(2, entries[1].hash), (3, entries[0].hash), (4, "ab"), (0, "")]
    found = []
    for end in ends:
        check = ChainCheck()
        for entry in entries:
            check.take(entry)
        check.end_at(*end)
        found.append([each.partition(":")[0] for each in check.breaks])
    another = "change 3 is another than the state says"
    assert [[], [another], ["changes 4 to 4 are missing at the end"], []] == found


def test_a_state_that_went_back_is_a_note() -> None:
    """Files that outlive it have the lost changes, then the epoch that follows on an earlier one."""
    lost = chained(1, 2, 3)
    begins = encode_change(Change(1004, EPOCH_BEGINS, "", "registry", 1.0, lost[0].hash))
    check = ChainCheck()
    for entry in [*lost, StoredChange(1004, begins)]:
        check.take(entry)
    assert [] == check.breaks
    assert ["at change 1004 the state had gone back to revision 1"] == [
        note.partition(":")[0] for note in check.notes
    ]


def test_a_line_has_the_very_bytes() -> None:
    """Their hash is that of the log."""
    (entry,) = chained(5)
    read, said = read_line(line_of(entry.entry))
    assert (entry.entry, 5, entry.hash) == (read.entry, read.revision, said)


def test_where_a_change_came_from_is_kept_and_may_be_missing() -> None:
    """A log of before it was kept is read as it was; what says nothing takes no room."""
    told = Origin("api-key:1", "ipv4:1", "r", "why", "he")
    old = b'{"kind":"k","resource":"r","actor":"a","revision":1,"at":1.0,"previous_hash":""}'
    change = decode_change(old)
    assert Origin() == change.origin
    assert b"origin" not in encode_change(change)
    new = Change(1, "k", "r", "a", 1.0, "", origin=told)
    assert told == decode_change(encode_change(new)).origin
