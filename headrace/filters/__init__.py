"""Filters: a small language of conditions, in the style of AIP-160; docs/filters.md has its grammar.

`parse` makes an expression of a text, `check` compares it with the fields that there are, `holds` asks
it of something that has such fields. Nothing here knows what is filtered.
"""

from headrace.filters.evaluation import Fields, Found, Kind, Kinds, check, compared, holds
from headrace.filters.expressions import (
    And,
    Comparison,
    Expression,
    Field,
    Not,
    Operator,
    Or,
    comparisons,
    written,
)
from headrace.filters.parsing import FILTER_INVALID, parse, parse_field
from headrace.filters.values import Value

__all__ = [
    "FILTER_INVALID",
    "And",
    "Comparison",
    "Expression",
    "Field",
    "Fields",
    "Found",
    "Kind",
    "Kinds",
    "Not",
    "Operator",
    "Or",
    "Value",
    "check",
    "compared",
    "comparisons",
    "holds",
    "parse",
    "parse_field",
    "written",
]
