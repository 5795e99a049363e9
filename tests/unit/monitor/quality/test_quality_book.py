"""Answers and labels meet, whichever comes first, and count once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_monitor.domain.quality.figures import QualityKey
from headrace_monitor.domain.quality.labels import LabelCounts
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from tests.unit.monitor.quality.books import DAY_NS, NOW_NS, StoredBook, answer, label

_CLASSES = st.sampled_from(["yes", "no", "maybe"])
_ROWS = st.dictionaries(st.integers(0, 8), st.tuples(_CLASSES, _CLASSES), min_size=1)


@settings(deadline=None, max_examples=60)
@given(rows=_ROWS, data=st.data())
def test_the_order_does_not_matter(rows: dict[int, tuple[str, str]], data: st.DataObject) -> None:
    """Answers and labels in any order, some twice, with restarts between: the counts are the same."""
    events = [("answer", number) for number in rows] + [("label", number) for number in rows]
    events += data.draw(st.lists(st.sampled_from([*events, ("restart", 0)]), max_size=8))
    book = StoredBook()
    for kind, number in data.draw(st.permutations(events)):
        if kind == "restart":
            book.reopen()
        elif kind == "answer":
            book.tell(answer(number, rows[number][0], score=number / 10))
        else:
            book.label(label(number, rows[number][1]))
    (found,) = book.ask()
    assert (len(rows), len(rows)) == (found.predictions, found.labelled)
    accuracy = found.figure("accuracy")
    assert accuracy is not None
    assert sum(said == true for said, true in rows.values()) / len(rows) == accuracy.value
    counted = {(each.predicted, each.truth): each.count for each in found.confusion}
    expected: dict[tuple[str, str], int] = {}
    for pair in rows.values():
        expected[pair] = expected.get(pair, 0) + 1
    assert expected == counted
    assert len(rows) == book.book.totals.joined
    book.tell(
        answer(9, "yes", confidence=0.5)
    )  # a weight of another kind is not counted with these
    learnt = book.book.tallies.learnt(QualityKey("digits", 1)).judged
    assert len(rows) == sum(no + yes for no, yes in learnt.values())
    assert sum(true == "yes" for _, true in rows.values()) == sum(yes for _, yes in learnt.values())


@settings(deadline=None, max_examples=40)
@given(times=st.permutations(range(1, 6)), early=st.integers(0, 5))
def test_of_labels_that_differ_the_latest_counts(times: list[int], early: int) -> None:
    """Labels that say when they became known correct one another in any order, also before the answer."""
    book = StoredBook()
    for place, seconds in enumerate(times):
        if place == early:
            book.tell(answer(1, "class-5"))
        book.label(label(1, f"class-{seconds}", NOW_NS + seconds * NANOSECONDS))
    if early == len(times):
        book.tell(answer(1, "class-5"))
    (found,) = book.ask()
    assert [("class-5", "class-5", 1)] == [
        (each.predicted, each.truth, each.count) for each in found.confusion
    ]


def test_each_label_is_told_what_came_of_it() -> None:
    """Joined, again, corrected, outdated, not sampled, unknown: each is counted as that."""
    book = StoredBook()
    book.tell(answer(1, "yes"), answer(2, 3.5), share=0.5)
    assert LabelCounts(joined=1) == book.label(label(1, "no"))
    assert LabelCounts(duplicates=1) == book.label(label(1, "no"))
    assert LabelCounts(corrected=1) == book.label(label(1, "yes"))
    assert LabelCounts(outdated=1) == book.label(label(1, "no", NOW_NS - NANOSECONDS))
    assert LabelCounts(wrong_kind=1) == book.label(label(2, "tall"))
    assert LabelCounts(joined=1) == book.label(label(2, "4.5"))
    others = book.label(*(label(number, "yes") for number in range(100, 1_100)))
    assert 1_000 == others.unknown + others.not_sampled
    assert 400 < others.not_sampled < 600
    assert LabelCounts(unknown=1) == StoredBook().label(label(1, "yes"), model="other")


def test_a_number_may_be_told_as_text_and_a_class_as_a_number() -> None:
    """Files of labels do not know the kind: 3 and '3' are the same class."""
    book = StoredBook()
    book.tell(answer(1, "3"), answer(2, 3.5), answer(3, "yes"))
    book.label(label(1, 3.0), label(2, "3.5"), label(3, "yes"))
    (found,) = book.ask()
    figures = {each.name: each.value for each in found.figures if not each.of}
    assert (1.0, 0.0) == (figures["accuracy"], figures["mae"])


def test_a_newer_answer_takes_the_place_of_an_older_one() -> None:
    """A request that is sent twice under one id counts once, with its newest answer, in any order."""
    for order in ((0, 1), (1, 0)):
        book = StoredBook()
        answers = (answer(1, "no"), answer(1, "yes", time_ns=NOW_NS + NANOSECONDS))
        book.tell(answers[order[0]])
        book.label(label(1, "yes"))
        book.tell(answers[order[1]])
        book.pass_by(10 * NANOSECONDS)
        (found,) = book.ask()
        assert (1, 1) == (found.predictions, found.labelled)
        assert [("yes", "yes")] == [(each.predicted, each.truth) for each in found.confusion]


def test_slices_and_versions_are_told_apart() -> None:
    """A copy of a request that went to two versions gives each its label; a slice has its own figures."""
    book = StoredBook()
    book.tell(
        answer(1, "yes", slices=("header x-region=eu",)),
        answer(1, "no", version=2),
        answer(2, "no"),
    )
    assert LabelCounts(joined=2) == book.label(label(1, "yes"), label(2, "yes"))
    found = {(each.key.version, each.key.slice): each.figure("accuracy") for each in book.ask()}
    values = {key: figure.value for key, figure in found.items() if figure}
    assert {(1, ""): 0.5, (1, "header x-region=eu"): 1.0, (2, ""): 0.0} == values


def test_the_oldest_answers_go_and_stay_counted() -> None:
    """Beyond the most that are kept, labels of the oldest find nothing; the store forgets them, too."""
    book = StoredBook(most=256)
    book.tell(*(answer(number, "yes") for number in range(1_000)))
    book.reopen()
    assert 256 >= len(book.book.answers) > 100
    assert LabelCounts(unknown=1) == book.label(label(1, "yes"))
    assert LabelCounts(joined=1) == book.label(label(999, "yes"))
    blocks = [key for key in book.entries if key.startswith(b"a")]
    assert len(blocks) <= 2
    (found,) = book.ask()
    assert (1_000, 1) == (found.predictions, found.labelled)


def test_what_is_too_old_goes() -> None:
    """After the days that are kept nothing is left but names and totals; a label waits for a day."""
    book = StoredBook(days=2)
    book.tell(answer(1, "yes"))
    book.label(label(7, "yes"))
    book.pass_by(DAY_NS + 1)
    book.tell(answer(7, "yes", time_ns=NOW_NS + DAY_NS))
    (found,) = book.ask(2 * DAY_NS)
    assert (2, 0) == (found.predictions, found.labelled)
    book.pass_by(3 * DAY_NS)
    assert not book.ask(7 * DAY_NS)
    assert {b"n", b"s"} >= {key[:1] for key in book.entries}


def test_steps_add_up_to_the_window() -> None:
    """Each step has its own answers, and together they are all."""
    book = StoredBook()
    hour = 3600 * NANOSECONDS
    for place in range(6):
        book.tell(answer(place, "yes", time_ns=NOW_NS + place * hour))
    book.pass_by(5 * hour + NANOSECONDS)
    assert [1] * 6 == [each.predictions for each in book.ask(8 * hour, hour)]
    assert [6] == [each.predictions for each in book.ask(8 * hour)]


def test_classes_beyond_the_limit_are_still_right_or_wrong() -> None:
    """They are counted together, and the accuracy is exact."""
    book = StoredBook()
    book.tell(*(answer(number, f"class-{number}") for number in range(400)))
    book.label(*(label(number, f"class-{number // 2 * 2}") for number in range(400)))
    (found,) = book.ask()
    accuracy = found.figure("accuracy")
    assert accuracy is not None
    assert pytest.approx(0.5) == accuracy.value
    assert any("_other" in note for note in found.notes)
