"""Asks an expression of something that has fields; before that, whether it makes sense for such things."""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable, Mapping
from typing import TypeAlias

from headrace import errors
from headrace.filters.expressions import (
    And,
    Comparison,
    Expression,
    Field,
    Not,
    Operator,
    comparisons,
)
from headrace.filters.values import Value

Found: TypeAlias = float | bool | str | tuple[str, ...] | None
"""The value of a field, None where it is not there; times are seconds since the epoch."""

Fields: TypeAlias = Callable[[Field], Found]
"""Finds the value that something has of a field."""


class Kind(enum.StrEnum):
    """What values of a field are."""

    NUMBER = "a number"
    BOOLEAN = "true or false"
    TEXT = "a text"
    TEXTS = "several texts"
    MOMENT = "a time"
    SPAN = "a duration"


Kinds: TypeAlias = Callable[[Field], Kind | None]
"""Says which kind a field is of; None where there is no such field."""

_ORDERS: Mapping[Operator, Callable[[float | str, float | str], bool]] = {
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.MORE: operator.gt,
    Operator.AT_LEAST: operator.ge,
}
_ORDERED = frozenset((Kind.NUMBER, Kind.MOMENT, Kind.SPAN, Kind.TEXT))
_EXAMPLES = {
    Kind.NUMBER: "a number such as 0.9",
    Kind.BOOLEAN: "true or false",
    Kind.MOMENT: 'a time such as "2026-01-31" or "2026-01-31T12:00:00Z"',
    Kind.SPAN: "a duration such as 90m, 12h or 7d",
}
_BOOLEANS = {"true": True, "false": False}


def check(
    expression: Expression,
    kinds: Kinds,
    known: str,
    what: str = "filter",
) -> None:
    """Pass if all fields exist and are compared with what they can be compared with.

    `known` lists in a message the fields that there are. Raises InvalidArgument with the column.
    """
    for comparison in comparisons(expression):
        kind = kinds(comparison.field)
        if kind is None:
            wrong = f"there is no field {str(comparison.field)!r}; there are {known}"
        else:
            wrong = _unfit(comparison, kind)
        if wrong:
            message = f"{what}, column {comparison.column}: {wrong}"
            violation = errors.FieldViolation(what, f"column {comparison.column}: {wrong}")
            facts = {"column": str(comparison.column)}
            raise errors.InvalidArgument(
                "FILTER_INVALID", message, violations=(violation,), facts=facts
            )


def _unfit(comparison: Comparison, kind: Kind) -> str:
    """Return why a comparison has no meaning for a kind of values; '' where it has one."""
    name, asked, value = comparison.field, comparison.operator, comparison.value
    if asked is Operator.HAS and value.is_anything:
        return ""
    if asked in _ORDERS and kind not in _ORDERED:
        return f"{name} is {kind.value}: compare it by = or :"
    if asked in _ORDERS and len(value.parts) > 1:
        return f"{value.text!r} has a wildcard, which {asked} cannot compare with"
    if kind in _EXAMPLES and _read(value, kind) is None:
        return f"{name} is {kind.value}: compare it with {_EXAMPLES[kind]}, not with {value.text!r}"
    return ""


def holds(expression: Expression, fields: Fields, kinds: Kinds) -> bool:
    """Return whether an expression, which was checked, holds for something that has these fields.

    A comparison with a field that is not there does not hold, whatever its operator; `NOT` of it does.
    """
    if isinstance(expression, Comparison):
        found = fields(expression.field)
        kind = kinds(expression.field)
        return found is not None and kind is not None and compared(expression, found, kind)
    if isinstance(expression, Not):
        return not holds(expression.part, fields, kinds)
    if isinstance(expression, And):
        return all(holds(part, fields, kinds) for part in expression.parts)
    return any(holds(part, fields, kinds) for part in expression.parts)


def compared(comparison: Comparison, found: Found, kind: Kind) -> bool:
    """Return whether a comparison holds for the value of its field."""
    asked, value = comparison.operator, comparison.value
    if asked is Operator.HAS and value.is_anything:
        return found not in ((), "", None)
    if isinstance(found, tuple):
        is_among = any(value.fits(text) for text in found)
        return is_among != (asked is Operator.UNEQUAL)
    if isinstance(found, str):
        return _text_compared(asked, found, value)
    wanted = _read(value, kind)
    if found is None or wanted is None:
        return False
    if asked in _ORDERS:
        return _ORDERS[asked](found, wanted)
    return (found == wanted) != (asked is Operator.UNEQUAL)


def _text_compared(asked: Operator, found: str, value: Value) -> bool:
    if asked in _ORDERS:
        return _ORDERS[asked](found, value.text)
    if asked is Operator.HAS:
        return value.is_in(found)
    return value.fits(found) != (asked is Operator.UNEQUAL)


def _read(value: Value, kind: Kind) -> float | None:
    """The number that a value is, as one of a kind; None where it is none."""
    if kind is Kind.NUMBER:
        return value.number
    if kind is Kind.MOMENT:
        return value.moment
    if kind is Kind.SPAN:
        return value.span
    return _BOOLEANS.get(value.text.lower())
