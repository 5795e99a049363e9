"""Explains the answer to one row: plans what to ask, says its cost, asks, and compares the methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from headrace.lifecycle.explanation.agreement import agreements
from headrace.lifecycle.explanation.asking import Asker
from headrace.lifecycle.explanation.attributions import Method
from headrace.lifecycle.explanation.baselines import Baseline, zeros
from headrace.lifecycle.explanation.explanation import Explanation, PlannedCost
from headrace.lifecycle.explanation.features import features_of
from headrace.lifecycle.explanation.game import Game
from headrace.lifecycle.explanation.image_features import ImageGrid
from headrace.lifecycle.explanation.maskers import Masker, TensorMasker
from headrace.lifecycle.explanation.planning import Effort, plan, possible
from headrace.lifecycle.explanation.refusals import invalid, too_large
from headrace.lifecycle.explanation.targets import Target, choose_target
from headrace.lifecycle.explanation.tokens import TextMasker
from headrace.lifecycle.predictors import Predictor
from headrace.lifecycle.predictors.predictor import Tensors, rows_of

ALL = "all"
_INNER = 0.01, 0.99


async def explain(
    predictor: Predictor,
    row: Tensors,
    *,
    baseline: Baseline | None = None,
    methods: Sequence[Method | str] = (),
    output: str = "",
    column: int | str | None = None,
    labels: Sequence[str] = (),
    log_odds: bool = False,
    names: Mapping[str, Sequence[str]] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    grid: ImageGrid | None = None,
    text: str = "",
    replacement: str = "",
    effort: Effort | None = None,
    rows_per_request: int = 1,
    on_cost: Callable[[PlannedCost], None] = lambda _: None,
) -> Explanation:
    """Explain the answer of a model to one row.

    Without `output` and `column`, the predicted class is explained, or the only value; with `log_odds` the
    log-odds of a probability. Features are the
    elements of the row, named by `names` and grouped by `groups`; with `grid` the patches of an image, with
    `text` the tokens of the input of that name, left out or replaced. Without `methods`, occlusion,
    integrated gradients where the inputs take fractions, and Shapley values of up to SHAPLEY_FEATURES
    features. `on_cost` is told what will be asked before it is.

    Raises InvalidArgument (EXPLANATION_INVALID, EXPLANATION_TOO_LARGE), FailedPrecondition
    (ANSWER_NOT_FINITE, MASKED_ROWS_REFUSED, LIFECYCLE_EXTRA_MISSING), and what the predictor raises.
    """
    if rows_of(row) != 1:
        raise invalid(f"one row is explained, and {rows_of(row)} were given")
    wanted, before, against = effort or Effort(), predictor.requests, baseline or zeros(row)
    target = choose_target(await predictor.predict(row), output, column, labels)
    target = target.in_log_odds() if log_odds else target
    masker = _masker(row, against, grid, text, replacement, names, groups)
    tasks = plan(masker, grid, possible(masker) if ALL in methods else methods, wanted)
    by_method = {str(task.method): task.rows for task in tasks}
    planned = PlannedCost(sum(by_method.values()), max(1, rows_per_request), by_method)
    on_cost(planned)
    if planned.rows > wanted.max_rows:
        raise too_large(planned.rows, wanted.max_rows)
    game = Game(masker, Asker(predictor, target, wanted.max_rows + 2 * masker.backgrounds))
    found = tuple([await task.run(game) for task in tasks])
    return Explanation(
        target=target,
        value=await game.value(),
        baseline_value=await game.baseline_value(),
        baseline=masker.baseline if isinstance(masker, TextMasker) else against.name,
        features=tuple(masker.features),
        attributions=found,
        agreements=tuple(agreements(found)),
        planned=planned,
        rows=game.asker.rows + 1,
        requests=predictor.requests - before,
        notes=tuple(_notes(target, await game.value(), planned)),
        grid=grid,
        text=masker.text if isinstance(masker, TextMasker) else None,
        row=row,
    )


def _masker(
    row: Tensors,
    baseline: Baseline,
    grid: ImageGrid | None,
    text: str,
    replacement: str,
    names: Mapping[str, Sequence[str]] | None,
    groups: Mapping[str, Sequence[str]] | None,
) -> Masker:
    if text:
        return TextMasker(row, text, replacement)
    features = grid.features if grid else features_of(row, names, groups)
    return TensorMasker(row, baseline.rows, features)


def _notes(target: Target, value: float, planned: PlannedCost) -> list[str]:
    notes = []
    if target.scale == "score":
        notes.append(
            f"{target.output} is not a probability: values are in its own unit, such as logits"
        )
    if target.scale == "probability" and not _INNER[0] < value < _INNER[1]:
        notes.append("the probability is near its end, where little moves it: log-odds tell more")
    if planned.rows_per_request == 1:
        notes.append("each row was a request of its own, as rows share none here")
    return notes
