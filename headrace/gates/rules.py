"""Reads the rules of a gate, and refuses those that make no sense."""

from __future__ import annotations

import math
from dataclasses import replace

from headrace import errors
from headrace.errors import FieldViolation
from headrace.filters import Expression, Field, Kind, check, comparisons, parse, parse_field
from headrace.gates.directions import is_smaller_better
from headrace.state.gate_records import GateComparison, GateRecord

GATE_INVALID = "GATE_INVALID"
MAX_RULES = 32
MAX_RULE_CHARACTERS = 512
MAX_ALIASES = 64
_USAGE = "give METRIC[:MARGIN][@ALIAS], such as accuracy:0.01@stable"


def requirement(text: str) -> Expression:
    """The condition of metrics that a text is. Raises InvalidArgument (GATE_INVALID)."""
    if len(text) > MAX_RULE_CHARACTERS:
        raise _invalid(
            "require", f"a rule has {len(text)} characters; {MAX_RULE_CHARACTERS} are allowed"
        )
    try:
        expression = parse(text, "rule")
        check(expression, lambda _: Kind.NUMBER, "metrics", "rule")
    except errors.InvalidArgument as error:
        raise _invalid("require", f"{text!r}: {error.message}") from None
    if not any(True for _ in comparisons(expression)):
        raise _invalid("require", "a rule is empty; give a comparison such as accuracy >= 0.95")
    return expression


def compared_field(wanted: GateComparison) -> Field:
    """The field that a comparison is of. Raises InvalidArgument (GATE_INVALID)."""
    try:
        return parse_field(wanted.metric, "metric")
    except errors.InvalidArgument as error:
        raise _invalid("no_worse_than", error.message) from None


def comparison(text: str) -> GateComparison:
    """The comparison that `METRIC[:MARGIN][@ALIAS]` is; the metric's name says which direction is better.

    Raises InvalidArgument (GATE_INVALID).
    """
    head, at, alias = _split_last(text, "@")
    metric, colon, margin = _split_last(head, ":")
    try:
        allowed = float(margin) if colon else 0.0
    except ValueError:
        raise _invalid("no_worse_than", f"{margin!r} is no margin: {_USAGE}") from None
    if not metric or (at and not alias):
        raise _invalid("no_worse_than", f"{text!r} is no comparison: {_USAGE}")
    made = GateComparison(metric, alias, allowed, is_smaller_better(metric))
    check_gate(GateRecord(no_worse_than=(made,)))
    return made


def written_comparison(wanted: GateComparison) -> str:
    """The text of a comparison, as `comparison` reads it."""
    margin = f":{wanted.margin:g}" if wanted.margin else ""
    return f"{wanted.metric}{margin}" + (f"@{wanted.than}" if wanted.than else "")


def check_gate(gate: GateRecord) -> None:
    """Pass if all rules can be asked of some metrics. Raises InvalidArgument (GATE_INVALID)."""
    for field, rules in (("require", gate.require), ("no_worse_than", gate.no_worse_than)):
        if len(rules) > MAX_RULES:
            raise _invalid(field, f"{len(rules)} rules; {MAX_RULES} are allowed")
    for text in gate.require:
        requirement(text)
    for wanted in gate.no_worse_than:
        compared_field(wanted)
        if not (math.isfinite(wanted.margin) and wanted.margin >= 0):
            raise _invalid("no_worse_than", f"the margin {wanted.margin} is not 0 or more")
    if len(gate.aliases) > MAX_ALIASES:
        raise _invalid("aliases", f"{len(gate.aliases)} aliases; {MAX_ALIASES} are allowed")


def directed(wanted: GateComparison) -> GateComparison:
    """The comparison, in whose metric smaller is better where it says so or its name does."""
    smaller = wanted.smaller_is_better or is_smaller_better(wanted.metric)
    return replace(wanted, smaller_is_better=smaller)


def _split_last(text: str, mark: str) -> tuple[str, str, str]:
    """The text before and behind the last mark that is not in brackets or braces."""
    depth = 0
    for place in range(len(text) - 1, -1, -1):
        depth += (text[place] in "]}") - (text[place] in "[{")
        if text[place] == mark and not depth:
            return text[:place], mark, text[place + 1 :]
    return text, "", ""


def _invalid(field: str, why: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        GATE_INVALID,
        f"the gate is not valid: {field}: {why}",
        violations=(FieldViolation(f"gate.{field}", why),),
    )
