"""Asks an evaluation what is demanded of it: rules of its metrics, no worse than another version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from headrace import errors
from headrace.client import AsyncClient, Version
from headrace.gates import Reference, Verdict, check_gate, is_smaller_better, judge
from headrace.lifecycle.evaluation.comparing import Difference, differences
from headrace.lifecycle.evaluation.data import EvaluationData
from headrace.lifecycle.evaluation.evaluating import evaluate_version
from headrace.lifecycle.evaluation.evaluation import Evaluation
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.tasks import impossible
from headrace.state.annotation_records import Metric
from headrace.state.gate_records import GateComparison, GateRecord

STABLE = "stable"


@dataclass(frozen=True, slots=True)
class Rules:
    """What is demanded of an evaluation."""

    require: tuple[str, ...] = ()
    """Each as `accuracy >= 0.95`."""
    no_worse_than: str = ""
    """`stable`, an alias or a number; '' where it is not compared."""
    margin: float = 0.0
    metrics: tuple[str, ...] = ()
    """Those that are compared; without any, the main one of the task."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of the rules."""

    verdict: Verdict = field(default_factory=Verdict)
    differences: tuple[Difference, ...] = ()

    @property
    def passed(self) -> bool:
        """Return whether all rules hold."""
        return self.verdict.passed


def check_rules(rules: Rules) -> None:
    """Pass if rules can be asked of an evaluation. Raises InvalidArgument (GATE_INVALID)."""
    check_gate(_gate(rules, rules.metrics))


async def judge_evaluation(
    client: AsyncClient,
    evaluation: Evaluation,
    data: EvaluationData,
    question: Question,
    rules: Rules,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Judgement:
    """The verdict on an evaluation.

    What it is compared with is measured on the same rows, unless the registry has its metrics of the same
    data: then nothing is asked, and the difference has no interval. Raises InvalidArgument, and what calls
    raise.
    """
    compared = rules.metrics or (evaluation.primary,)
    gate = _gate(rules, compared)
    if not rules.no_worse_than:
        return Judgement(judge(gate, evaluation.metrics, {}))
    number = await version_number(client, evaluation.model, rules.no_worse_than)
    if number == evaluation.version:
        return Judgement(judge(gate, evaluation.metrics, {rules.no_worse_than: None}))
    other = await client.version(evaluation.model, number)
    metrics, found = await _of_other(client, evaluation, other, data, question, compared, on_rows)
    reference = Reference(f"version {number}", metrics)
    verdict = judge(gate, evaluation.metrics, {rules.no_worse_than: reference})
    return Judgement(verdict, found)


async def version_number(client: AsyncClient, model: str, text: str) -> int:
    """The number of `stable`, an alias, or a number. An alias that is called `stable` goes first."""
    try:
        return await client.resolve(model, text)
    except errors.NotFound:
        if text != STABLE:
            raise
        return (await client.route(model)).stable


async def _of_other(
    client: AsyncClient,
    evaluation: Evaluation,
    other: Version,
    data: EvaluationData,
    question: Question,
    compared: tuple[str, ...],
    on_rows: Callable[[int], None],
) -> tuple[tuple[Metric, ...], tuple[Difference, ...]]:
    stored = (await client.annotations(other.model, other.number)).metrics
    known = {each.name: each for each in stored if _is_of(each, evaluation)}
    if all(name in known for name in compared):
        return tuple(known.values()), _apart(evaluation, known, compared, other.number)
    again = replace(question, task=evaluation.task)
    measured = await evaluate_version(client, other, data, again, on_rows)
    return measured.metrics, differences(evaluation, measured, compared)


def _is_of(metric: Metric, evaluation: Evaluation) -> bool:
    return not metric.slice and metric.data_digest == evaluation.data_digest


def _apart(
    evaluation: Evaluation, known: dict[str, Metric], compared: tuple[str, ...], number: int
) -> tuple[Difference, ...]:
    found = []
    for name in compared:
        ours = evaluation.metric(name)
        if ours is None:
            raise impossible(f"{name!r} has no value here")
        found.append(Difference(name, ours.value, known[name].value, f"version {number}"))
    return tuple(found)


def _gate(rules: Rules, compared: tuple[str, ...]) -> GateRecord:
    comparisons = tuple(
        GateComparison(name, rules.no_worse_than, rules.margin, is_smaller_better(name))
        for name in compared
        if rules.no_worse_than
    )
    return GateRecord(require=rules.require, no_worse_than=comparisons)
