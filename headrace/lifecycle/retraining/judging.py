"""Judges a new version: evaluated through the server, its metrics stored with it, its rules asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from headrace.client import AsyncClient
from headrace.gates import Reference, check_gate, is_smaller_better, judge
from headrace.lifecycle.evaluation import Evaluation, evaluate
from headrace.lifecycle.retraining.plan import Evaluate, invalid
from headrace.state.annotation_records import Metric
from headrace.state.gate_records import GateComparison, GateRecord

STABLE = "stable"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an evaluation found, and the rules that do not hold."""

    said: str
    failed: tuple[str, ...] = ()


def gate_of(asked: Evaluate, data_digest: str = "") -> GateRecord:
    """The rules of a retraining file as a gate. Raises InvalidArgument (GATE_INVALID)."""
    compared = tuple(
        GateComparison(
            each.metric,
            "" if each.than == STABLE else each.than,
            each.margin,
            is_smaller_better(each.metric),
        )
        for each in asked.no_worse_than
    )
    gate = GateRecord(require=asked.require, no_worse_than=compared, data_digest=data_digest)
    check_gate(gate)
    return gate


async def judged(
    client: AsyncClient, model: str, asked: Evaluate, places: tuple[Path, Path], version: int
) -> Judgement:
    """Evaluate a version, store its metrics, and ask the rules; those it is compared with, too.

    Data are looked for in the first of `places`, then in the second.
    """
    data = _data(asked.data, places)
    found = await _evaluated(client, model, asked, data, version)
    gate = gate_of(asked, found.data_digest)
    references: dict[str, Reference | None] = {}
    for than in {each.than for each in gate.no_worse_than}:
        other = await _other(client, model, than)
        if other in (0, version):
            references[than] = None
            continue
        metrics = await _metrics_on(client, model, other, asked, data, found.data_digest)
        references[than] = Reference(f"version {other}", metrics)
    verdict = judge(gate, found.metrics, references)
    return Judgement(_said(found), tuple(str(each) for each in verdict.failed))


async def _evaluated(
    client: AsyncClient, model: str, asked: Evaluate, data: Path, version: int
) -> Evaluation:
    found = await evaluate(
        client,
        model,
        data,
        target=asked.target,
        version=version,
        task=asked.task or None,
        slice_by=asked.slice_by,
    )
    digest, name = found.data_digest, found.data_name
    metrics = tuple(replace(metric, data_digest=digest, data_name=name) for metric in found.metrics)
    await client.annotate(model, version, metrics=metrics)
    return replace(found, metrics=metrics)


async def _metrics_on(
    client: AsyncClient, model: str, version: int, asked: Evaluate, data: Path, digest: str
) -> tuple[Metric, ...]:
    """The metrics of another version on the same data: stored ones, else it is evaluated, too."""
    stored = (await client.annotations(model, version)).metrics
    same = tuple(each for each in stored if each.data_digest == digest)
    wanted = {each.metric for each in asked.no_worse_than}
    if wanted <= {each.name for each in same if not each.slice}:
        return same
    return (await _evaluated(client, model, asked, data, version)).metrics


async def _other(client: AsyncClient, model: str, than: str) -> int:
    return await client.resolve(model, than) if than else (await client.route(model)).stable


def _data(name: str, places: tuple[Path, Path]) -> Path:
    found = next((place / name for place in places if (place / name).exists()), None)
    if found is None:
        raise invalid(
            f"evaluate.data: there is no {name!r} in HEADRACE_OUT ({places[0]}) or {places[1]}"
        )
    return found


def _said(found: Evaluation) -> str:
    metric = found.metric(found.primary)
    if metric is None:
        return f"{found.rows} rows of {found.data_name}"
    between = "" if metric.lower is None else f" ({metric.lower:.4g} to {metric.upper:.4g})"
    return f"{metric.name} {metric.value:.4g}{between} on {found.rows} rows of {found.data_name}"
