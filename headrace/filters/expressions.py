"""The nouns of filters: comparisons of fields with values, joined by AND, OR and NOT."""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.filters.values import Value, written_value


class Operator(enum.StrEnum):
    """What a field is compared by; HAS is 'has it in it', or with `*` 'is there'."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    HAS = ":"


@dataclass(frozen=True, slots=True)
class Field:
    """A field by its name; `data` in brackets and `slice` in braces say which of several values it is."""

    name: str
    data: str = ""
    slice: str = ""

    def __str__(self) -> str:
        data = f"[{_guarded(self.data, ']')}]" if self.data else ""
        part = f"{{{_guarded(self.slice, '}')}}}" if self.slice else ""
        return f"{self.name}{data}{part}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field, an operator, a value; `column` is where it is in the text, from 1."""

    field: Field
    operator: Operator
    value: Value
    column: int = dataclasses.field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    """Holds where all parts hold."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Holds where some part holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Holds where its part does not."""

    part: Expression


Expression = And | Or | Not | Comparison
"""An expression; one without parts, `And(())`, holds always: that of an empty filter."""


def comparisons(expression: Expression) -> Iterator[Comparison]:
    """The comparisons of an expression, in the order of its text."""
    if isinstance(expression, Comparison):
        yield expression
        return
    for part in (expression.part,) if isinstance(expression, Not) else expression.parts:
        yield from comparisons(part)


def written(expression: Expression) -> str:
    """The text of an expression: parsing it gives the same one."""
    if isinstance(expression, Comparison):
        operator, value = expression.operator, written_value(expression.value)
        space = "" if operator is Operator.HAS else " "
        return f"{expression.field}{space}{operator}{space}{value}"
    if isinstance(expression, Not):
        return f"NOT {_within(expression.part)}"
    word = " AND " if isinstance(expression, And) else " OR "
    return word.join(_within(part) for part in expression.parts)


def _within(expression: Expression) -> str:
    text = written(expression)
    return f"({text})" if isinstance(expression, And | Or) else text


def _guarded(text: str, end: str) -> str:
    return re.sub(rf"\\|{re.escape(end)}", r"\\\g<0>", text)
