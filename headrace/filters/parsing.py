"""Reads the text of a filter: what is wrong with it is told with its column."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn, cast

from headrace import errors
from headrace.filters.expressions import And, Comparison, Expression, Field, Not, Operator, Or
from headrace.filters.values import Value

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

FILTER_INVALID = "FILTER_INVALID"
MAX_LENGTH = 2048
MAX_DEPTH = 32
"""Of parentheses and NOTs in one another: expressions are walked by recursion."""
MAX_COMPARISONS = 64
"""So that a filter costs little, whatever it is asked of."""

_GRAMMAR = r"""
start: [_expression]
_expression: _term | all | any
all: _term (_AND _term)+
any: _term (_OR _term)+
_term: comparison | negation | _LPAR _expression _RPAR
negation: (_NOT | _MINUS) _term
comparison: FIELD [DATA] [SLICE] OPERATOR (STRING | WORD)

_AND.2: /(?i:and)(?![A-Za-z0-9_.\/-])/
_OR.2: /(?i:or)(?![A-Za-z0-9_.\/-])/
_NOT.2: /(?i:not)(?![A-Za-z0-9_.\/-])/
_MINUS: "-"
_LPAR: "("
_RPAR: ")"
FIELD: /[A-Za-z_][A-Za-z0-9_.\/-]*/
DATA: /\[(?:[^\]\\]|\\[\s\S])*\]/
SLICE: /\{(?:[^}\\]|\\[\s\S])*\}/
OPERATOR: /!=|<=|>=|=|<|>|:/
STRING: /"(?:[^"\\]|\\[\s\S])*"/ | /'(?:[^'\\]|\\[\s\S])*'/
WORD: /[^\s()"'{}\[\]:=<>!\\]+/

%ignore /[ \t\r\n]+/
"""
_PIECE = re.compile(r"\\(.)|(\*)|([^\\*]+)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def parse(text: str, what: str = "filter") -> Expression:
    """The expression that a text has; an empty one holds always.

    `what` names the text in messages. Raises InvalidArgument (FILTER_INVALID) with the column.
    """
    if len(text) > MAX_LENGTH:
        _refuse(what, MAX_LENGTH + 1, f"it has {len(text)} characters; {MAX_LENGTH} are allowed")
    tree = _tree(text, what)
    return _expression(tree.children[0]) if tree.children else And(())


def parse_field(text: str, what: str = "field") -> Field:
    """The field that a text names, with its data and slice. Raises InvalidArgument (FILTER_INVALID)."""
    try:
        expression = parse(f"{text}:*", what)
    except errors.InvalidArgument:
        expression = And(())
    if not isinstance(expression, Comparison) or str(expression.field) != text:
        _refuse(what, 1, f"{text[:80]!r} is not one field, such as metrics.accuracy")
    return expression.field


def _tree(text: str, what: str) -> Tree[Token]:
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    nesting = _Nesting(what)
    try:
        reading = _parser().parse_interactive(text)
        for token in reading.iter_parse():
            nesting.take(token)
        return cast("Tree[Token]", reading.feed_eof())
    except UnexpectedCharacters as error:
        _refuse(what, error.pos_in_stream + 1, _stray(text, error.pos_in_stream))
    except UnexpectedToken as error:
        place = len(text) if error.token.type == "$END" else error.token.start_pos or 0
        _refuse(what, place + 1, _misplaced(error.token, error.expected, nesting.is_open))


@lru_cache(maxsize=1)
def _parser() -> Lark:
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True, keep_all_tokens=False)


class _Nesting:
    """Counts what is open while a text is read, so that no text gets deeper or longer than it may."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._nots = [0]
        self._comparisons = 0

    @property
    def is_open(self) -> bool:
        """Return whether a parenthesis is not closed yet."""
        return len(self._nots) > 1

    def take(self, token: Token) -> None:
        """Count a token. Raises InvalidArgument (FILTER_INVALID)."""
        if token.type == "_LPAR":
            self._nots.append(0)
        elif token.type in ("_NOT", "_MINUS"):
            self._nots[-1] += 1
        else:
            if token.type == "_RPAR" and self.is_open:
                self._nots.pop()
            self._nots[-1] = 0
        self._comparisons += token.type == "OPERATOR"
        column = (token.start_pos or 0) + 1
        if sum(self._nots) + len(self._nots) - 1 > MAX_DEPTH:
            _refuse(self._what, column, f"it is nested more than {MAX_DEPTH} deep: simplify it")
        if self._comparisons > MAX_COMPARISONS:
            _refuse(self._what, column, f"it has more than {MAX_COMPARISONS} comparisons")


def _expression(node: Tree[Token] | Token) -> Expression:
    from lark import Tree

    assert isinstance(node, Tree)
    if node.data == "comparison":
        return _comparison(*node.children)
    if node.data == "negation":
        return Not(_expression(node.children[0]))
    parts = tuple(_expression(child) for child in node.children)
    return And(parts) if node.data == "all" else Or(parts)


def _comparison(
    name: Token, data: Token | None, part: Token | None, operator: Token, value: Token
) -> Comparison:
    field = Field(str(name), _between(data), _between(part))
    return Comparison(field, Operator(operator), _value(value), (name.start_pos or 0) + 1)


def _between(token: Token | None) -> str:
    """The text between brackets or braces."""
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL) if token else ""


def _value(token: Token) -> Value:
    quoted = token.type == "STRING"
    parts = [""]
    for escaped, star, plain in _PIECE.findall(token[1:-1] if quoted else token):
        if star:
            parts.append("")
        else:
            parts[-1] += _ESCAPES.get(escaped, escaped) + plain
    return Value(tuple(parts), quoted)


def _stray(text: str, place: int) -> str:
    """Return what is wrong with characters that are no part of any filter."""
    if text[place] in "\"'":
        return "this quote has no end"
    if text[place] in "[{":
        return f"this {text[place]!r} has no end"
    return f"{text[place : place + 20]!r} has no meaning here: put texts in quotes"


def _misplaced(token: Token, expected: Collection[str], is_open: bool) -> str:  # noqa: FBT001  # a fact
    """Return what is wrong with a token that is none of those that may be here."""
    seen = "it ends here" if token.type == "$END" else f"{str(token)[:40]!r} is here"
    if token.type in ("_AND", "_OR") and {"_AND", "_OR"} & set(expected):
        return "AND and OR together need parentheses, which say what belongs together"
    if "STRING" in expected:
        return f'{seen}, where a value has to be, such as 0.9 or "vision"'
    if "OPERATOR" in expected:
        return f"{seen}, where one of {' '.join(Operator)} has to be"
    if "FIELD" in expected:
        return f"{seen}, where a field has to be, such as metrics.accuracy"
    if token.type == "_RPAR":
        return "this ')' closes nothing"
    end = "')'" if is_open else "the end"
    return f"{seen}, where AND, OR or {end} has to be"


def _refuse(what: str, column: int, why: str) -> NoReturn:
    raise errors.InvalidArgument(
        FILTER_INVALID,
        f"{what}, column {column}: {why}",
        violations=(errors.FieldViolation(what, f"column {column}: {why}"),),
        facts={"column": str(column)},
    )
