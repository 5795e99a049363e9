"""Filters as texts: what they mean, what is refused, and that writing them loses nothing."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import errors
from headrace.filters import (
    And,
    Comparison,
    Expression,
    Field,
    Not,
    Operator,
    Or,
    Value,
    parse,
    parse_field,
    written,
)


def _compared(name: str, operator: str, value: str, *, quoted: bool = False) -> Comparison:
    return Comparison(Field(name), Operator(operator), Value(tuple(value.split("*")), quoted))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", And(())),
        ("  ", And(())),
        ("metrics.accuracy > 0.9", _compared("metrics.accuracy", ">", "0.9")),
        ("a=-1.5e3", _compared("a", "=", "-1.5e3")),
        ("tags.team:*", _compared("tags.team", ":", "*")),
        ('team = "vis*"', _compared("team", "=", "vis*", quoted=True)),
        ("team = vis*", _compared("team", "=", "vis*")),
        ("team = 'x y'", _compared("team", "=", "x y", quoted=True)),
        ("((a = 1))", _compared("a", "=", "1")),
        ("-a = 1", Not(_compared("a", "=", "1"))),
        ("not a = 1", Not(_compared("a", "=", "1"))),
        ("NOT -(a = 1)", Not(Not(_compared("a", "=", "1")))),
        ("a=1 and b=2 AND c=3", And((*(_compared(n, "=", v) for n, v in ("a1", "b2", "c3")),))),
        ("a=1 or b=2", Or((_compared("a", "=", "1"), _compared("b", "=", "2")))),
        ("and.a = or", _compared("and.a", "=", "or")),
        ("recall.at.5 >= 1", _compared("recall.at.5", ">=", "1")),
        (
            "accuracy[test 1.csv]{region=eu} > 1",
            Comparison(Field("accuracy", "test 1.csv", "region=eu"), Operator.MORE, Value(("1",))),
        ),
    ],
)
def test_a_text_has_one_meaning(text: str, expected: Expression) -> None:
    """Words in either case, quotes, wildcards, slices and negations are read as documented."""
    assert expected == parse(text)


def test_quotes_and_stars_can_be_escaped() -> None:
    """In quotes a backslash takes the next character as it is; n, t and r are as elsewhere."""
    parsed = parse(r'a = "x\"y\*z\n*\\"')
    assert isinstance(parsed, Comparison)
    assert Value(('x"y*z\n', "\\"), quoted=True) == parsed.value


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("a", 2, "one of = != < <= > >= :"),
        ("a >", 4, "where a value has to be"),
        ("a > 1 b > 2", 7, "'b' is here, where AND, OR or the end has to be"),
        ("a > 1 AND", 10, "where a field has to be"),
        ("a=1 and b=2 or c=3", 13, "need parentheses"),
        ("a=1 or b=2 and c=3", 12, "need parentheses"),
        ('a = "x', 5, "this quote has no end"),
        ("a{x = 1", 2, "this '{' has no end"),
        ("a = 1)", 6, "closes nothing"),
        ("(a = 1", 7, "it ends here, where AND, OR or ')' has to be"),
        ("0.9 < a", 1, "where a field"),
        ("a = 1 & b = 2", 7, "'&' is here"),
        ("a = \\x", 5, "has no meaning here"),
        ("a = ü AND ü = 1", 11, "where a field has to be, such as metrics.accuracy"),
        ("(" * 1000, 33, "nested more than 32 deep"),
        ("-" * 1000, 33, "nested more than 32 deep"),
        ("not " * 100 + "a = 1", 129, "nested more than 32 deep"),
        (" or ".join(["a=1"] * 65), 450, "more than 64 comparisons"),
        ("a" * 2049, 2049, "2049 characters; 2048 are allowed"),
    ],
)
def test_a_mistake_is_told_with_its_column(text: str, column: int, said: str) -> None:
    """What is no filter is refused, and the message says where and why."""
    with pytest.raises(errors.InvalidArgument) as refused:
        parse(text)
    assert "FILTER_INVALID" == refused.value.reason
    assert {"column": str(column)} == refused.value.facts
    assert said in refused.value.message


def test_a_field_alone_can_be_read() -> None:
    """Orders and gates name fields as filters do."""
    assert Field("f1", "t.csv", "a}b") == parse_field(r"f1[t.csv]{a\}b}")
    for text in ("", "a b", "a > 1 AND b", "(a"):
        with pytest.raises(errors.InvalidArgument):
            parse_field(text)


_names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_.\-/]{0,8}", fullmatch=True).filter(
    lambda name: name.lower() not in ("and", "or", "not")
)
_texts = st.text(max_size=6)
_fields = st.builds(Field, _names, _texts, _texts)
_quoted = st.builds(
    lambda parts: Value(tuple(parts), quoted=True), st.lists(_texts, min_size=1, max_size=3)
)
_words = st.text(string.ascii_letters + string.digits + ".-_/+", min_size=1, max_size=6)
_bare = st.builds(lambda parts: Value(tuple(parts)), st.lists(_words, min_size=1, max_size=3))
_comparisons = st.builds(Comparison, _fields, st.sampled_from(Operator), _quoted | _bare)
_expressions = st.recursive(
    _comparisons,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(lambda parts: And(tuple(parts)), st.lists(inner, min_size=2, max_size=3))
        | st.builds(lambda parts: Or(tuple(parts)), st.lists(inner, min_size=2, max_size=3))
    ),
    max_leaves=6,
)


@given(_expressions)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_as_it_was(expression: Expression) -> None:
    """The text of an expression means that expression."""
    assert expression == parse(written(expression))


@given(st.text("aN()[]{}\"'\\*=<>!:-.,0123 \nandor", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text brings anything but an expression or FILTER_INVALID, and what is read can be written."""
    try:
        parsed = parse(text)
    except errors.InvalidArgument as refused:
        reason = refused.reason
    else:
        assert parsed == parse(written(parsed))
        reason = "FILTER_INVALID"
    assert "FILTER_INVALID" == reason
