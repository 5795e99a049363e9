"""Judges a new version: evaluated through the server, kept with it, its rules asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from headrace.client import AsyncClient
from headrace.gates import Reference, judge
from headrace.lifecycle.evaluation import (
    Difference,
    Evaluation,
    EvaluationData,
    Question,
    Task,
    differences,
    evaluate_version,
    read_data,
    report_files,
    store,
)
from headrace.lifecycle.retraining.plan import Evaluate, gate_of, invalid


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an evaluation found, and the rules that do not hold."""

    said: str
    failed: tuple[str, ...] = ()


async def judged(
    client: AsyncClient,
    model: str,
    asked: Evaluate,
    places: tuple[Path, Path],
    version: int,
    stable: int,
) -> Judgement:
    """Evaluate a version, and those that it is compared with, on the same rows; keep what was found.

    Data are looked for in the first of `places`, then in the second. Raises what an evaluation raises.
    """
    data = await asyncio.to_thread(read_data, data_of(asked.data, places))
    question = _question(asked)
    found = await _evaluated(client, model, version, data, question)
    gate = gate_of(asked, found.data_digest)
    references: dict[str, Reference | None] = {}
    beside: list[Difference] = []
    for than in dict.fromkeys(each.than for each in gate.no_worse_than):
        number = await client.resolve(model, than) if than else stable
        references[than] = None
        if number not in (0, version):
            other = await _evaluated(client, model, number, data, question)
            await store(client, other)
            references[than] = Reference(f"version {number}", other.metrics)
            beside += _beside(asked, than, found, other)
    verdict = judge(gate, found.metrics, references)
    said = (*verdict.lines(), *map(str, beside))
    await store(client, found, await asyncio.to_thread(report_files, found, said))
    return Judgement("; ".join([_said(found), *map(str, beside)]), tuple(map(str, verdict.failed)))


def data_of(name: str, places: tuple[Path, Path]) -> Path:
    """The data, in the first place that has them. Raises InvalidArgument (RETRAINING_INVALID)."""
    found = next((place / name for place in places if (place / name).exists()), None)
    if found is None:
        raise invalid(
            f"evaluate.data: there is no {name!r} in HEADRACE_OUT ({places[0]}) or {places[1]}"
        )
    return found


def _question(asked: Evaluate) -> Question:
    return Question(
        (asked.target,),
        output=asked.output,
        task=Task(asked.task) if asked.task else None,
        positive=asked.positive,
        group_by=asked.group_by,
        slice_by=asked.slice_by,
        ignored=asked.ignore,
    )


async def _evaluated(
    client: AsyncClient, model: str, number: int, data: EvaluationData, question: Question
) -> Evaluation:
    return await evaluate_version(client, await client.version(model, number), data, question)


def _beside(
    asked: Evaluate, than: str, found: Evaluation, other: Evaluation
) -> tuple[Difference, ...]:
    """The differences of the metrics that both have a value of for all rows; slices are in the verdict."""
    wanted = {each.metric for each in asked.no_worse_than if each.than in (than, than or "stable")}
    both = [name for name in sorted(wanted) if found.metric(name) and other.metric(name)]
    return differences(found, other, tuple(both)) if found.task is other.task else ()


def _said(found: Evaluation) -> str:
    metric = found.metric(found.primary)
    if metric is None:
        return f"{found.rows} rows of {found.data_name}"
    between = "" if metric.lower is None else f" ({metric.lower:.4g} to {metric.upper:.4g})"
    return f"{metric.name} {metric.value:.4g}{between} on {found.rows} rows of {found.data_name}"
