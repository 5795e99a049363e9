"""Explains a model over a sample: attributions of each row, importance of features, curves of the first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.explanation.asking import Asker, CountingPredictor
from headrace.lifecycle.explanation.attributions import Method
from headrace.lifecycle.explanation.baselines import Baseline, mean_of
from headrace.lifecycle.explanation.class_names import learnt_names
from headrace.lifecycle.explanation.explanation import PlannedCost
from headrace.lifecycle.explanation.features import Feature, features_of
from headrace.lifecycle.explanation.game import Game
from headrace.lifecycle.explanation.importance import (
    CURVE_ROWS,
    CURVE_VALUES,
    REPEATS,
    curve,
    importances,
    loss_of,
)
from headrace.lifecycle.explanation.maskers import TensorMasker
from headrace.lifecycle.explanation.planning import Effort, plan
from headrace.lifecycle.explanation.refusals import invalid, too_large
from headrace.lifecycle.explanation.sample_explanation import Curve, Importance, SampleExplanation
from headrace.lifecycle.explanation.targets import Target, choose_target
from headrace.lifecycle.predictors import Predictor
from headrace.lifecycle.predictors.predictor import Array, Tensors, rows_of

CURVES = 4
"""So many features, the first by mean amount, get a curve of partial dependence."""
_AT_ONCE = 8
_CLASSES = 6


@dataclass(frozen=True, slots=True)
class _Sample:
    """What all parts look at."""

    predictor: CountingPredictor
    rows: Tensors
    features: tuple[Feature, ...]
    targets: tuple[Target, ...]
    answers: Array
    labels: Sequence[str]

    @property
    def output(self) -> str:
        return self.targets[0].output

    @property
    def columns(self) -> list[int]:
        """The class of each row that is explained."""
        return [target.column for target in self.targets]

    @property
    def classes(self) -> list[int]:
        """Those that are explained of some row."""
        return sorted(set(self.columns))

    def name_of(self, column: int) -> str:
        return (self.labels[column] if column < len(self.labels) else "") or str(column)


async def explain_sample(
    predictor: Predictor,
    sample: Tensors,
    *,
    baseline: Baseline | None = None,
    method: Method | str = Method.OCCLUSION,
    output: str = "",
    column: int | str | None = None,
    labels: Sequence[str] = (),
    names: Mapping[str, Sequence[str]] | None = None,
    truth: Array | None = None,
    repeats: int = REPEATS,
    curves: int = CURVES,
    effort: Effort | None = None,
    rows_per_request: int = 1,
    on_cost: Callable[[PlannedCost], None] = lambda _: None,
) -> SampleExplanation:
    """Explain a model over rows: of each the predicted class, or `column`, against the sample's mean.

    With `truth`, the right classes or values of the rows, permutation importance tells what the loss hangs
    on. `on_cost` is told what will be asked before it is. Raises as `explain` does.
    """
    wanted, before, chosen = effort or Effort(), predictor.requests, Method(method)
    counted = CountingPredictor(predictor)
    seen = await _looked_at(counted, sample, output, column, labels, names)
    against = baseline or mean_of(sample)
    shuffles = 0 if truth is None else repeats * len(seen.features) + 1
    planned = {
        "answers": rows_of(sample),
        str(chosen): _rows_of_attributions(seen, against, chosen, wanted),
        "importance": rows_of(sample) * shuffles,
        "curves": _rows_of_curves(seen, curves),
    }
    drawn_at = max(1, CURVE_VALUES * min(curves, len(seen.features)))
    calls = {str(chosen): rows_of(sample), "importance": max(1, shuffles), "curves": drawn_at}
    total = sum(planned.values())
    on_cost(PlannedCost(total, max(1, rows_per_request), planned, calls))
    if total > wanted.max_rows:
        raise too_large(total, wanted.max_rows)
    values = await _attributions(seen, against, chosen, wanted)
    told = await _importance(seen, truth, repeats, wanted.seed)
    drawn = await _curves(seen, np.abs(values).mean(axis=0), curves)
    return SampleExplanation(
        output=seen.output,
        scale=seen.targets[0].scale,
        method=str(chosen),
        baseline=against.name,
        explained_rows=rows_of(sample),
        features=tuple(feature.name for feature in seen.features),
        mean_amounts=tuple(np.abs(values).mean(axis=0).tolist()),
        mean_values=tuple(values.mean(axis=0).tolist()),
        by_class=_by_class(seen, np.abs(values)),
        rows_by_class={seen.name_of(each): seen.columns.count(each) for each in seen.classes},
        loss=told[0],
        loss_value=told[1],
        importances=told[2],
        curves=tuple(drawn),
        planned_rows=total,
        rows=counted.rows,
        requests=predictor.requests - before,
    )


def _by_class(seen: _Sample, amounts: npt.NDArray[np.float64]) -> dict[str, tuple[float, ...]]:
    columns = np.array(seen.columns)
    return {
        seen.name_of(each): tuple(amounts[columns == each].mean(axis=0).tolist())
        for each in seen.classes
    }


async def _importance(
    seen: _Sample, truth: Array | None, repeats: int, seed: int
) -> tuple[str, float | None, tuple[Importance, ...]]:
    """The loss, what it is without shuffling, and how much each feature's shuffling adds."""
    if truth is None:
        return "", None, ()
    name, measure = loss_of(truth, seen.answers, seen.targets[0].scale, seen.labels)
    found = await importances(
        seen.predictor, seen.rows, seen.features, seen.output, measure, repeats, seed
    )
    return name, measure(seen.answers), tuple(found)


async def _looked_at(
    predictor: CountingPredictor,
    sample: Tensors,
    output: str,
    column: int | str | None,
    labels: Sequence[str],
    names: Mapping[str, Sequence[str]] | None,
) -> _Sample:
    if not rows_of(sample):
        raise invalid("the sample has no rows")
    answers = await predictor.predict(sample)
    first = {name: array[:1] for name, array in answers.items()}
    chosen = choose_target(first, output, 0, labels).output
    labels = labels or learnt_names(answers, chosen)
    targets = tuple(
        choose_target({chosen: answers[chosen][place : place + 1]}, chosen, column, labels)
        for place in range(rows_of(sample))
    )
    features = features_of({name: array[:1] for name, array in sample.items()}, names)
    return _Sample(predictor, sample, features, targets, answers[chosen], labels)


def _masker(seen: _Sample, baseline: Baseline, place: int) -> TensorMasker:
    row = {name: array[place : place + 1] for name, array in seen.rows.items()}
    return TensorMasker(row, baseline.rows, seen.features)


def _rows_of_attributions(seen: _Sample, baseline: Baseline, method: Method, effort: Effort) -> int:
    (task,) = plan(_masker(seen, baseline, 0), None, [method], effort)
    return len(seen.targets) * task.rows


def _rows_of_curves(seen: _Sample, curves: int) -> int:
    return min(curves, len(seen.features)) * min(CURVE_ROWS, len(seen.targets)) * CURVE_VALUES


async def _attributions(
    seen: _Sample, baseline: Baseline, method: Method, effort: Effort
) -> npt.NDArray[np.float64]:
    """[rows, features], several rows under way."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(place: int) -> tuple[float, ...]:
        masker = _masker(seen, baseline, place)
        (task,) = plan(masker, None, [method], effort)
        game = Game(masker, Asker(seen.predictor, seen.targets[place], effort.max_rows))
        async with room:
            return (await task.run(game)).values

    return np.array(await asyncio.gather(*map(one, range(len(seen.targets)))))


async def _curves(seen: _Sample, amounts: npt.NDArray[np.float64], count: int) -> list[Curve]:
    counted = sorted(set(seen.columns), key=lambda each: -seen.columns.count(each))[:_CLASSES]
    names = [seen.name_of(each) for each in counted]
    order = np.argsort(-amounts, kind="stable")[:count]
    return [
        await curve(seen.predictor, seen.rows, seen.features[place], seen.output, counted, names)
        for place in order
    ]
