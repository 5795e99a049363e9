"""Of many versions few have series of their own, and no counter ever falls."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from headrace_inference.adapters.metrics.series_limit import OTHERS, SeriesLimit
from headrace_inference.domain.versions.statistics import Counts

Key = tuple[str, int]
ALL: list[Key] = [("", 0), *((name, number) for name in "abc" for number in (0, 1, 2))]


def counts(executions: dict[Key, int]) -> dict[Key, Counts]:
    """Versions with so many runs and answers."""
    return {key: Counts(successes=count, executions=count) for key, count in executions.items()}


def test_those_that_do_something_have_series_before_those_that_do_not() -> None:
    """What is left is for the others; a place is kept."""
    limit, known = SeriesLimit(2), {("a", 1), ("b", 1), ("c", 1)}
    idle = dict.fromkeys(sorted(known), 0)
    assert [("a", 1), ("b", 1)] == list(limit.told_apart(counts(idle), known))
    assert [("a", 1), ("c", 1)] == list(limit.told_apart(counts(idle | {("c", 1): 1}), known))
    shown = limit.told_apart(counts({("a", 1): 2, ("b", 1): 3, ("c", 1): 1}), known)
    assert {("a", 1): 2, ("c", 1): 1, OTHERS: 3} == {
        key: one.successes for key, one in shown.items()
    }
    assert {("a", 1), ("c", 1)} == limit.chosen(known)


def test_a_deleted_version_makes_room() -> None:
    """Its series end; what came meanwhile stays among the others, what comes has the place."""
    limit = SeriesLimit(1)
    limit.told_apart(counts({("a", 1): 1}), {("a", 1)})
    done = {("a", 1): 1, ("b", 1): 1}
    assert [("a", 1), OTHERS] == sorted(
        limit.told_apart(counts(done), {("a", 1)}), key=lambda k: k == OTHERS
    )
    shown = limit.told_apart(counts(done | {("c", 1): 5}), {("b", 1), ("c", 1)})
    assert {OTHERS: 1, ("c", 1): 5} == {key: one.successes for key, one in shown.items()}


@given(
    most=st.integers(0, 5),
    steps=st.lists(
        st.dictionaries(st.sampled_from(ALL), st.integers(0, 3), max_size=5), max_size=8
    ),
)
def test_nothing_is_lost_and_nothing_falls(most: int, steps: list[dict[Key, int]]) -> None:
    """Whatever is called in whatever order: the sum over all series is what was done, and none falls."""
    limit, done, before = SeriesLimit(most), Counter[Key](), dict[Key, int]()
    for step in steps:
        done.update(step)
        shown = limit.told_apart(counts(dict(done)), ALL)
        values = {key: one.successes for key, one in shown.items()}
        assert sum(done.values()) == sum(values.values())
        assert len(values.keys() - {OTHERS}) <= most
        assert all(values.get(key, 0) >= value for key, value in before.items())
        before = values
