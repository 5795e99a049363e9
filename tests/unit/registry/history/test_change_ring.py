"""The newest changes in memory, and who is woken by which."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from headrace.state.changes import EPOCH_BEGINS, Change
from headrace.state.history import Entry, Point
from headrace_registry.domain.history import change_ring
from headrace_registry.domain.history.change_ring import ChangeRing


def entry(revision: int, model: str = "m", kind: str = "model.update", before: str = "") -> Entry:
    """A change, which follows on the one with the revision before unless another is said."""
    change = Change(revision, kind, f"models/{model}", "a", 0.0, before or f"h{revision - 1}")
    return Entry(change, f"h{revision}")


def ring_at(revision: int, entries: Sequence[Entry] = ()) -> ChangeRing:
    """A ring that began at a revision, with changes after it."""
    ring = ChangeRing(lambda change, _: f"change {change.revision}".encode())
    ring.begin(Point("e", revision, f"h{revision}"))
    ring.extend(entries)
    return ring


def kept(ring: ChangeRing) -> list[int]:
    """The revisions that it has."""
    found = [ring.after(revision) for revision in range(ring.start_revision, ring.end.revision)]
    return [each.point.revision for each in found if each is not None]


async def test_the_oldest_changes_go_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By their number, and by their bytes."""
    monkeypatch.setattr(change_ring, "MAX_CHANGES", 3)
    ring = ring_at(5, [entry(revision) for revision in range(6, 11)])
    assert [8, 9, 10] == kept(ring)
    assert ring.after(10) is None
    assert Point("e", 9, "h9") == ring.point_at(9)
    monkeypatch.setattr(change_ring, "MAX_BYTES", 15)
    ring.extend([entry(11)])
    assert [10, 11] == kept(ring)


@pytest.mark.parametrize(
    ("older", "expected"),
    [
        ([entry(4), entry(5)], [4, 5, 6]),
        ([entry(3), entry(5)], [5, 6]),
        ([entry(4), entry(5, before="other")], [5, 6]),
        ([entry(4, kind=EPOCH_BEGINS), entry(5)], [5, 6]),
        ([entry(4)], [6]),
    ],
)
async def test_older_changes_are_taken_as_far_as_they_lead_to_the_oldest(
    older: Sequence[Entry], expected: list[int]
) -> None:
    """Not over a gap, not from another history, and not from an epoch of before."""
    ring = ring_at(5, [entry(6)])
    ring.prepend(older)
    assert expected == kept(ring)


async def test_those_are_woken_whom_a_change_concerns() -> None:
    """They learn with which revision; who left is passed over, and all are woken by another state."""
    ring = ring_at(5)
    every, one, other = (ring.wait(model, mark=False) for model in (None, "m", "n"))
    gone = ring.wait("m", mark=False)
    gone.cancel()
    ring.forget("m", gone)
    ring.extend([entry(6), entry(7)])
    await asyncio.gather(every, one)
    assert [6, 6, False] == [every.result(), one.result(), other.done()]
    ring.begin(Point("e2", 20, "h20"))
    assert 21 == await other
    assert [] == kept(ring)


async def test_marks_are_for_those_who_want_them_and_only_after_changes() -> None:
    """A mark says up to where nothing concerned them."""
    ring = ring_at(5)
    ring.extend([entry(6)])
    wanting, silent = ring.wait("n", mark=True), ring.wait("n", mark=False)
    ring.wake_marked()
    assert 7 == await wanting
    again = ring.wait("n", mark=True)
    ring.wake_marked()
    await asyncio.sleep(0)
    assert [False, False] == [again.done(), silent.done()]
