"""Filters asked of things: comparisons by kind, what is missing, and agreement with a simple model."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import errors
from headrace.filters import Field, Found, Kind, check, holds, parse

_KINDS = {
    "n": Kind.NUMBER,
    "text": Kind.TEXT,
    "texts": Kind.TEXTS,
    "time": Kind.MOMENT,
    "age": Kind.SPAN,
    "on": Kind.BOOLEAN,
    "gone": Kind.NUMBER,
}
_THING: dict[str, Found] = {
    "n": 0.9,
    "text": "Vision team",
    "texts": ("stable", "canary-1"),
    "time": 1_767_225_600.0,  # 2026-01-01T00:00:00Z
    "age": 3600.0,
    "on": True,
}


def _kind(field: Field) -> Kind | None:
    return _KINDS.get(field.name)


def _asked(text: str) -> bool:
    expression = parse(text)
    check(expression, _kind, "n, text")
    return holds(expression, lambda field: _THING.get(field.name), _kind)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("n > 0.8", True),
        ("n >= 9e-1", True),
        ("n < 0.9", False),
        ("n != 1", True),
        ("n:0.9", True),
        ("n:*", True),
        ("gone:*", False),
        ("gone < 1", False),
        ("gone != 1", False),
        ("NOT gone = 1", True),
        ('text = "Vision team"', True),
        ("text = Vision", False),
        ("text = Vis*am", True),
        ("text = *is*on*", True),
        ("text = *on*is*", False),
        ("text:vision", False),
        ("text:ision", True),
        ("text:V*m", True),
        ("text != x*", True),
        ("text > Ant", True),
        ("texts:stable", True),
        ("texts:canary*", True),
        ("texts:can", False),
        ("texts != stable", False),
        ("time >= 2026-01-01", True),
        ("time < '2026-01-01T01:00:00+01:00'", False),
        ("time = '2026-01-01T01:00:00.000000000+01:00'", True),
        ("age <= 60m and age > 0.5h and -age = 1d", True),
        ("on = TRUE", True),
        ("on = false", False),
        ("(n > 1 or on = true) and text:team", True),
    ],
)
def test_comparisons_by_kind(text: str, expected: bool) -> None:
    """Numbers, texts with wildcards, lists, times, durations and switches compare as documented."""
    assert expected == _asked(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n > 1 AND nope = 1", "column 11: there is no field 'nope'; there are n, text"),
        ("n > high", "n is a number: compare it with a number such as 0.9, not with 'high'"),
        ("n = inf", "a number such as 0.9"),
        ("n = 1e999", "a number such as 0.9"),
        ("n = 9*", "a number such as 0.9"),
        ("time > 2026-02-30", "a time such as"),
        ("age > 7", "a duration such as"),
        ("on = yes", "true or false"),
        ("on > true", "compare it by = or :"),
        ("texts > a", "compare it by = or :"),
        ("text > a*", "has a wildcard"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, said: str) -> None:
    """A field that is not there, or a value of another kind, is an error and no empty answer."""
    with pytest.raises(errors.InvalidArgument) as refused:
        _asked(text)
    assert said in refused.value.message


_OPERATORS = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_leaves = st.tuples(st.sampled_from("abc"), st.sampled_from(sorted(_OPERATORS)), st.integers(-2, 2))
_trees = st.recursive(
    _leaves,
    lambda inner: (
        st.tuples(st.just("not"), inner) | st.tuples(st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=8,
)


def _text(tree: tuple[object, ...]) -> str:
    if tree[0] == "not":
        return f"not ({_text(tree[1])})"  # type: ignore[arg-type]  # a tree
    if tree[0] in ("and", "or"):
        return f"({_text(tree[1])}) {tree[0]} ({_text(tree[2])})"  # type: ignore[arg-type]  # trees
    return " ".join(map(str, tree))


def _modelled(tree: tuple[object, ...], thing: dict[str, float]) -> bool:
    if tree[0] == "not":
        return not _modelled(tree[1], thing)  # type: ignore[arg-type]  # a tree
    if tree[0] in ("and", "or"):
        both = [_modelled(part, thing) for part in tree[1:]]  # type: ignore[arg-type]  # trees
        return all(both) if tree[0] == "and" else any(both)
    name, sign, number = tree
    found = thing.get(str(name))
    return found is not None and _OPERATORS[str(sign)](found, number)


@given(_trees, st.dictionaries(st.sampled_from("abc"), st.integers(-2, 2)))
@settings(max_examples=200, deadline=None)
def test_it_agrees_with_a_simple_model(tree: tuple[object, ...], thing: dict[str, float]) -> None:
    """Whatever is joined by whatever holds as the same in Python does."""
    expression = parse(_text(tree))
    answer = holds(expression, lambda field: thing.get(field.name), lambda _: Kind.NUMBER)
    assert _modelled(tree, thing) == answer
