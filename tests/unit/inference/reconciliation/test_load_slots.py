"""Loads that take long yield to others, within a bound."""

from __future__ import annotations

from headrace_inference.domain.reconciliation.load_slots import MAX_YIELDED, LoadPlaces, LoadSlots
from tests.unit.inference.doubles import catalog


def test_a_load_yields_after_its_time() -> None:
    """And when it has ended nothing is known of it."""
    slots = LoadSlots(LoadPlaces(2, yield_seconds=5.0))
    slots.begin(("m", 1), 100.0)
    slots.let_yield(104.9)
    before, due = set(slots.yielded), slots.next_yield()
    slots.let_yield(105.0)
    after, then = set(slots.yielded), slots.next_yield()
    slots.end(("m", 1))
    assert (set(), 105.0, {("m", 1)}, None, set()) == (before, due, after, then, slots.yielded)


def test_without_room_for_it_a_load_keeps_its_place() -> None:
    """It is looked at again a second later."""
    has_room = False
    slots = LoadSlots(LoadPlaces(2, has_room=lambda: has_room, yield_seconds=5.0))
    slots.begin(("m", 1), 100.0)
    slots.let_yield(105.0)
    assert (set(), 106.0) == (slots.yielded, slots.next_yield())
    has_room = True
    slots.let_yield(106.0)
    assert {("m", 1)} == slots.yielded


def test_only_so_many_yield() -> None:
    """Each takes a process and its memory."""
    slots = LoadSlots(LoadPlaces(2, yield_seconds=5.0))
    for number in range(MAX_YIELDED + 1):
        slots.begin(("m", number), 100.0)
    slots.let_yield(105.0)
    assert MAX_YIELDED == len(slots.yielded)
    slots.end(("m", 0))
    slots.let_yield(106.0)
    assert MAX_YIELDED == len(slots.yielded)


def test_whether_a_load_is_quick_is_asked_once_a_load() -> None:
    """A version that failed may have nothing prepared any more."""
    prepared = {"d1"}
    slots = LoadSlots(LoadPlaces(2, is_quick=lambda record: record.digest in prepared))
    state = catalog(1)
    first = slots.is_quick(("m", 1), state)
    prepared.clear()
    during = slots.is_quick(("m", 1), state)
    slots.end(("m", 1))
    assert (True, True, False) == (first, during, slots.is_quick(("m", 1), state))
    assert not slots.is_quick(("m", 9), state)
