"""Asks the rules of a gate of metrics: pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from headrace.filters import (
    And,
    Comparison,
    Expression,
    Field,
    Kind,
    Not,
    compared,
    comparisons,
    written,
)
from headrace.gates.measured import Measured, Measurements
from headrace.gates.rules import compared_field, directed, requirement, written_comparison
from headrace.gates.verdict import Result, Verdict
from headrace.state.annotation_records import Metric
from headrace.state.gate_records import GateComparison, GateRecord

_ROUNDING = 1e-12
"""0.95 - 0.01 is a bit more than 0.94."""
_DIGEST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Reference:
    """A version to compare with: its name for people, as `version 3`, and its metrics."""

    name: str
    metrics: tuple[Metric, ...]


def judge(
    gate: GateRecord, metrics: Iterable[Metric], references: Mapping[str, Reference | None]
) -> Verdict:
    """The verdict on a version with these metrics.

    `references` has by `than` of the gate's comparisons the version to compare with. With None, or where
    it has none, the comparison holds: there is nothing to be worse than.
    Raises InvalidArgument (GATE_INVALID).
    """
    mine = Measurements(metrics, gate.data_digest)
    required = [_required(text, mine) for text in gate.require]
    not_worse = [
        _not_worse(wanted, mine, references.get(wanted.than), gate.data_digest)
        for wanted in gate.no_worse_than
    ]
    return Verdict((*required, *not_worse))


def references_for(
    gate: GateRecord,
    number: int,
    stable: int | None,
    aliases: Mapping[str, int],
    metrics_of: Callable[[int], Iterable[Metric]],
) -> dict[str, Reference | None]:
    """The versions that version `number` is compared with, by `than` of the gate's comparisons.

    '' is the route's stable version, and so is `stable` where no alias is called so. None where there is
    no such version, or it is the version itself.
    """
    names = {"": stable, "stable": stable, **aliases}
    found = {each.than: names.get(each.than) for each in gate.no_worse_than}
    return {
        than: None
        if other in (None, number)
        else Reference(_named(than, other), tuple(metrics_of(other)))
        for than, other in found.items()
    }


def _named(than: str, number: int) -> str:
    return f"version {number}, which {than or 'the route'} names now,"


def _required(text: str, mine: Measurements) -> Result:
    expression = requirement(text)
    fields = {str(each.field): each.field for each in comparisons(expression)}
    values = {name: mine.newest(field) for name, field in fields.items()}
    said = "; ".join(f"{name} is {_said(found)}" for name, found in values.items() if found)
    held = _holds(expression, values)
    why = ""
    if not held:
        missing = [f"{name} was not measured" for name, found in values.items() if found is None]
        why = "; ".join([*([said] if said else []), *missing])
    return Result(text, held is True, said, written(expression), why)


def _holds(expression: Expression, values: Mapping[str, Measured | None]) -> bool | None:
    """Return whether a condition holds; None where that depends on what was not measured."""
    if isinstance(expression, Comparison):
        found = values[str(expression.field)]
        return None if found is None else compared(expression, found.value, Kind.NUMBER)
    if isinstance(expression, Not):
        held = _holds(expression.part, values)
        return None if held is None else not held
    decisive = not isinstance(expression, And)
    held_parts = [_holds(part, values) for part in expression.parts]
    if decisive in held_parts:
        return decisive
    return None if None in held_parts else not decisive


def _not_worse(
    wanted: GateComparison, mine: Measurements, reference: Reference | None, data_digest: str
) -> Result:
    wanted = directed(wanted)
    rule, field = f"no worse in {written_comparison(wanted)}", compared_field(wanted)
    if reference is None:
        return Result(rule, True, "there is nothing to compare with", "")
    theirs = Measurements(reference.metrics, data_digest)
    pair = _of_same_data(mine.all(field), theirs.all(field))
    if pair is None:
        why = _incomparable(field, mine.newest(field), theirs.newest(field), reference.name)
        return Result(rule, False, "", _bound(wanted, None, reference.name), why)
    ours, other = pair
    said = f"{field} is {_said(ours)}, of {reference.name} {_said(other)}"
    worse_by = (ours.value - other.value) * (1 if wanted.smaller_is_better else -1)
    held = worse_by <= wanted.margin + _ROUNDING * max(1.0, abs(other.value))
    bound = _bound(wanted, other, reference.name)
    why = "" if held else f"{said}: worse by {worse_by:.6g}, {wanted.margin:g} is allowed"
    return Result(rule, held, said, bound, why)


def _of_same_data(
    ours: Iterable[Measured], theirs: Iterable[Measured]
) -> tuple[Measured, Measured] | None:
    """Our newest value of data that the other has a value of, too, and its newest of the same."""
    newest: dict[str, Measured] = {}
    for each in theirs:
        newest.setdefault(each.metric.data_digest, each)
    for mine in ours:
        if mine.metric.data_digest in newest:
            return mine, newest[mine.metric.data_digest]
    return None


def _incomparable(field: Field, ours: Measured | None, theirs: Measured | None, name: str) -> str:
    if ours is None:
        return f"{field} was not measured"
    if theirs is None:
        return f"{field} of {name} was not measured"
    return f"{field} was measured on other data: on {_data(ours)}, of {name} on {_data(theirs)}"


def _bound(wanted: GateComparison, other: Measured | None, name: str) -> str:
    word, sign = ("at most", 1) if wanted.smaller_is_better else ("at least", -1)
    if other is None:
        return f"{word} that of {name}" + (
            f" {'-+'[sign > 0]} {wanted.margin:g}" if wanted.margin else ""
        )
    return f"{word} {other.value + sign * wanted.margin:.6g}"


def _said(found: Measured) -> str:
    metric = found.metric
    value = f"{found.value:.6g}"
    if found.value == metric.value and metric.lower is not None and metric.upper is not None:
        value += f" ({metric.lower:.6g} to {metric.upper:.6g})"
    return value + (f" on {_data(found)}" if metric.data_name or metric.data_digest else "")


def _data(found: Measured) -> str:
    metric = found.metric
    digest = metric.data_digest[:_DIGEST_DIGITS]
    if metric.data_name and digest:
        return f"{metric.data_name} [{digest}]"
    return metric.data_name or digest or "data that nobody named"
