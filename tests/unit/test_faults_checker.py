"""The checker of histories finds each kind of fault, and nothing in a history that can be true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.faults.checker import check
from tests.faults.history import FinalState, History, Kind, Loss, Operation, Outcome, Seen


def operation(kind: Kind, number: int = 0, at: float = 1.0, **facts: Any) -> Operation:
    """An acknowledged operation that took from half a second before `at` until then."""
    plain = Operation("client", kind, "m", at - 0.5, at, Outcome.OK, number=number)
    return replace(plain, **facts)


def pushed(number: int, value: int, at: float = 1.0, **facts: Any) -> Operation:
    """A push of an artifact; its revision is its number unless said."""
    return operation(Kind.PUSH, number, at, **{"value": value, "revision": number} | facts)


def history(*operations: Operation, losses: tuple[Loss, ...] = ()) -> History:
    """What clients were told."""
    return History(list(operations), losses=list(losses))


def final(versions: dict[int, int], alias: int = 0) -> FinalState:
    """Versions of one model with their artifacts, and where the alias of the client is."""
    aliases = {("m", "a"): alias} if alias else {}
    return FinalState({("m", number): value for number, value in versions.items()}, aliases)


TWO = (pushed(1, 11), pushed(2, 12, at=2.0))
MOVED = operation(Kind.ALIAS, 1, alias="a")
PERHAPS = operation(Kind.ALIAS, 2, at=2.0, alias="a", outcome=Outcome.UNKNOWN)
LOST = (Loss(0.0, 5.0),)

TRUE = {
    "all there": (history(*TWO), final({1: 11, 2: 12})),
    "unknown push made": (
        history(*TWO, pushed(0, 13, outcome=Outcome.UNKNOWN)),
        final({1: 11, 2: 12, 3: 13}),
    ),
    "unknown push not made": (
        history(*TWO, pushed(0, 13, outcome=Outcome.UNKNOWN)),
        final({1: 11, 2: 12}),
    ),
    "deleted": (history(*TWO, operation(Kind.DELETE, 1, at=3.0)), final({2: 12})),
    "deletion not known": (
        history(*TWO, operation(Kind.DELETE, 1, at=3.0, outcome=Outcome.UNKNOWN)),
        final({1: 11, 2: 12}),
    ),
    "repeated push": (history(*TWO, pushed(2, 12, at=3.0)), final({1: 11, 2: 12})),
    "alias where it was told to be": (history(MOVED), final({}, alias=1)),
    "alias where it may be": (history(MOVED, PERHAPS), final({}, alias=2)),
    "newest lost": (history(*TWO, losses=LOST), final({1: 11})),
    "lost twice": (
        history(*TWO, pushed(3, 13, at=6.0), losses=(*LOST, Loss(0.0, 9.0))),
        final({1: 11, 3: 13}),
    ),
    "pushed again after a loss": (
        history(*TWO, pushed(3, 12, at=6.0), losses=LOST),
        final({1: 11, 3: 12}),
    ),
    "list with all": (
        history(*TWO, operation(Kind.LIST, at=3.0, numbers=frozenset({1, 2}))),
        final({1: 11, 2: 12}),
    ),
    "list at the time of a push": (
        history(*TWO, operation(Kind.LIST, at=2.2, numbers=frozenset({1}))),
        final({1: 11, 2: 12}),
    ),
    "right answers": (
        history(*TWO, operation(Kind.INFER, 2, at=3.0, value=12)),
        final({1: 11, 2: 12}),
    ),
}
FALSE = {
    "lost": (history(*TWO), final({1: 11}), "acknowledged and is gone"),
    "doubled": (history(*TWO), final({1: 11, 2: 12, 3: 12}), "is both"),
    "told twice": (
        history(*TWO, pushed(3, 12, at=3.0)),
        final({1: 11, 2: 12, 3: 13}),
        "was told",
    ),
    "reused": (
        history(*TWO, pushed(2, 13, at=6.0), losses=LOST),
        final({1: 11, 2: 13}),
        "was given to artifact 12 and to 13",
    ),
    "resurrected": (
        history(*TWO, operation(Kind.DELETE, 1, at=3.0)),
        final({1: 11, 2: 12}),
        "was deleted and is there",
    ),
    "hole": (history(*TWO, losses=LOST), final({2: 12}), "what was made at 1 is lost"),
    "exchanged": (history(*TWO), final({1: 12, 2: 11}), "was artifact 11 and is 12"),
    "other answer": (
        history(*TWO, operation(Kind.INFER, 1, at=3.0, value=12)),
        final({1: 11, 2: 12}),
        "which adds 11",
    ),
    "alias elsewhere": (history(MOVED), final({}, alias=2), "can only be at [1]"),
    "alias gone": (history(MOVED), final({}), "can only be at [1]"),
    "lost before the backup": (
        history(*TWO, losses=(Loss(1.5, 5.0),)),
        final({2: 12}),
        "(artifact 11) was acknowledged and is gone",
    ),
    "stale list": (
        history(*TWO, operation(Kind.LIST, at=3.0, numbers=frozenset({1}))),
        final({1: 11, 2: 12}),
        "listed without ('m', 2)",
    ),
}
STORED = {
    "orphan": (history(*TWO), {11, 12, 13}, "artifact 13 is stored"),
    "bytes gone": (history(*TWO), {11}, "('m', 2) is there without its bytes"),
    "as named": (history(*TWO), {11, 12}, ""),
    "orphan of a lost version": (history(*TWO, losses=LOST), {11, 12, 13}, ""),
}
WATCHED = {
    "in order": ([1, 2, 3], ""),
    "from the middle": ([7, 8], ""),
    "twice": ([1, 2, 2], "saw revision 2 after 2"),
    "backwards": ([2, 1], "saw revision 1 after 2"),
    "left out": ([1, 3], "saw revision 3 after 1"),
}


@pytest.mark.parametrize("name", TRUE)
def test_what_can_be_true(name: str) -> None:
    """Nothing is found."""
    told, state = TRUE[name]
    assert [] == check(told, state)


@pytest.mark.parametrize("name", FALSE)
def test_what_cannot_be_true(name: str) -> None:
    """It is found, and said in a sentence."""
    told, state, finding = FALSE[name]
    assert any(finding in each for each in check(told, state)), check(told, state)


@pytest.mark.parametrize("name", STORED)
def test_stored_bytes(name: str) -> None:
    """Those of the versions that are there, and no others."""
    told, stored, finding = STORED[name]
    state = replace(final({1: 11, 2: 12}), stored=frozenset(stored))
    found = check(told, state)
    assert any(finding in each for each in found) if finding else found == []


@pytest.mark.parametrize("name", WATCHED)
def test_watched(name: str) -> None:
    """Revisions come one after the other, in each stream."""
    revisions, finding = WATCHED[name]
    told = history()
    told.seen += [Seen("w", 0, each, "model.update", "models/m") for each in revisions]
    told.seen += [Seen("w", 1, 1, "model.update", "models/m")]
    assert ([] if not finding else [f"w {finding}"]) == check(told, final({}))


def test_histories_that_are_mixed() -> None:
    """A place in an epoch is one change for all, and nobody gets from one epoch to another by watching."""
    told = history()
    told.seen += [
        Seen("a", 0, 1, "model.update", "models/m", "e", "x"),
        Seen("b", 0, 1, "model.update", "models/m", "e", "y"),
        Seen("b", 0, 2, "model.update", "models/m", "f", "z"),
    ]
    found = check(told, final({}))
    assert ["revision 1 of epoch e was two changes", "b came to epoch f without a list"] == found


def test_a_watcher_that_sees_something_else() -> None:
    """The change at a revision is the one that its caller was told."""
    told = history(*TWO)
    told.seen += [Seen("w", 0, 1, "version.push", "models/other/versions/1")]
    (finding,) = check(told, final({1: 11, 2: 12}))
    assert "saw version.push of models/other/versions/1 at 1" in finding
