"""Explanations of served versions' answers, as a client asks for them: each in requests of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace import errors
from headrace.client.generation import GenerationCalls
from headrace.client.inference import InferenceCalls
from headrace.client.references import ReferenceCalls
from headrace.client.resources import Version
from headrace.client.routes import RouteCalls

if TYPE_CHECKING:  # the lifecycle and numpy are loaded by the first explanation
    from headrace.client.binding import Inputs
    from headrace.lifecycle.explanation import Baseline, Effort, Explanation, PlannedCost

_LABELS = "labels.txt"
_MOST_LABELS = 4096


class ExplanationCalls(RouteCalls, ReferenceCalls, InferenceCalls, GenerationCalls):
    """Which inputs an answer hangs on."""

    async def explain(
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | str = "",
        output: str = "",
        column: int | str | None = None,
        log_odds: bool = False,
        methods: Sequence[str] = (),
        baseline: str | Baseline | Mapping[str, Any] = "",
        sample: Mapping[str, Any] | None = None,
        names: Mapping[str, Sequence[str]] | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        image: str = "",
        patch: int = 0,
        text: str = "",
        replacement: str = "",
        effort: Effort | None = None,
        on_cost: Callable[[PlannedCost], None] | None = None,
        on_rows: Callable[[int], None] | None = None,
        timeout_seconds: float | None = None,
    ) -> Explanation:
        """Tell how much each feature of one row adds to its answer, by asking for rows without it.

        Without `output` and `column` (a number, or the label of a class), the predicted class is explained,
        or the only value; with `log_odds` the log-odds of a probability. `methods`: occlusion,
        leave-one-in, integrated-gradients, shapley, kernel-shap, or "all"; without any, those that are
        cheap here. Features that are not there are those of the `baseline`: "zeros", "mean" or "sample" (of
        `sample`, rows of inputs), "reference" (of the version), of an image "mean" and "blur", or rows. By
        default the reference, the sample's mean, or zeros. `names` are features' names by input, `groups`
        features that count as one. The input `image` is cut into patches of so many pixels, the input
        `text` into words. `on_cost` is told what will be asked before it is, `on_rows` of rows that were
        answered; `effort` bounds it. `timeout_seconds` is that of each request.

        Raises InvalidArgument (EXPLANATION_INVALID, EXPLANATION_TOO_LARGE), FailedPrecondition
        (ANSWER_NOT_FINITE, MASKED_ROWS_REFUSED, LIFECYCLE_EXTRA_MISSING), and as `infer` does.
        """
        from headrace.lifecycle import explanation
        from headrace.lifecycle.predictors import served_predictor

        found = await self._version_of(model, version, timeout_seconds)
        row = await self._row(found, inputs, timeout_seconds)
        grid = None
        if image:
            grid = explanation.image_grid(row, image, _shape(found, image), patch)
        against = await self._baseline(found, row, baseline, sample, grid, text)
        predictor = served_predictor(
            self, found, timeout_seconds=timeout_seconds, on_rows=on_rows or (lambda _: None)
        )
        made = await explanation.explain(
            predictor,
            row,
            baseline=against,
            methods=methods,
            output=output,
            column=column,
            labels=await self._labels(found, row, output, timeout_seconds),
            log_odds=log_odds,
            names=names,
            groups=groups,
            grid=grid,
            text=text,
            replacement=replacement,
            effort=effort,
            rows_per_request=predictor.rows_per_request,
            on_cost=on_cost or (lambda _: None),
        )
        return replace(made, model=found.model, version=found.number)

    async def explain_answer(
        self,
        model: str,
        prompt: str,
        answer: str,
        *,
        version: int | str = "",
        methods: Sequence[str] = (),
        replacement: str = "",
        effort: Effort | None = None,
        on_cost: Callable[[PlannedCost], None] | None = None,
        on_rows: Callable[[int], None] | None = None,
        timeout_seconds: float | None = None,
    ) -> Explanation:
        """Tell how much each word of a prompt adds to the log-probability of an answer to it.

        Words are left out, or replaced; without `methods`, one at a time. Each coalition of words is a
        request of its own. Raises as `explain` and `score` do.
        """
        from headrace.lifecycle import explanation
        from headrace.lifecycle.explanation import prompts

        found = await self._version_of(model, version, timeout_seconds)
        predictor = prompts.AnswerPredictor(
            self,
            found.model,
            found.number,
            answer,
            timeout_seconds=timeout_seconds,
            on_rows=on_rows or (lambda _: None),
        )
        made = await explanation.explain(
            predictor,
            prompts.prompt_row(prompt),
            methods=methods or ["occlusion"],
            output=prompts.LOG_PROBABILITY,
            text=prompts.PROMPT,
            replacement=replacement,
            effort=effort,
            on_cost=on_cost or (lambda _: None),
        )
        return replace(made, model=found.model, version=found.number)

    async def _version_of(
        self, model: str, version: int | str, timeout_seconds: float | None
    ) -> Version:
        name, _, alias = model.partition("@")
        chosen = version or alias
        if not chosen:
            chosen = (await self.route(name, timeout_seconds=timeout_seconds)).stable
        number = await self.resolve(name, chosen, timeout_seconds=timeout_seconds)
        return await self.version(name, number, timeout_seconds=timeout_seconds)

    async def _row(
        self, found: Version, inputs: Any, timeout_seconds: float | None
    ) -> dict[str, Any]:
        """The row as the version takes it, with optional inputs only where they were given."""
        deadline = time.monotonic() + self._calls.allowed(timeout_seconds)
        given = await self._bound((found.model, str(found.number)), inputs, deadline)
        return dict(given.arrays)

    async def _baseline(
        self,
        found: Version,
        row: Mapping[str, Any],
        baseline: str | Baseline | Mapping[str, Any],
        sample: Mapping[str, Any] | None,
        grid: Any,
        text: str,
    ) -> Baseline:
        from headrace.lifecycle import explanation

        if isinstance(baseline, explanation.Baseline):
            return baseline
        if not isinstance(baseline, str):
            return explanation.sample_of(_arrays(row, baseline))
        if text:
            return explanation.zeros(row)
        if grid is not None and baseline in ("", "mean"):
            return explanation.image_mean(row, grid)
        if grid is not None and baseline == "blur":
            return explanation.blurred(row, grid)
        wanted = baseline == "reference" or (not baseline and sample is None)
        values = await self._typical(found) if wanted else {}
        if not baseline and not _covers(values, row):
            values = {}
        rows = None if sample is None else _arrays(row, sample)
        return explanation.named_baseline(baseline, row, sample=rows, values=values)

    async def _typical(self, found: Version) -> dict[str, float | str]:
        """What is typical by field; nothing where the version has no reference."""
        try:
            reference = await self.reference(found.model, found.number)
        except errors.NotFound:
            return {}
        return {each.name: each.typical for each in reference.fields if each.typical is not None}

    async def _labels(
        self, found: Version, row: Mapping[str, Any], output: str, timeout_seconds: float | None
    ) -> tuple[str, ...]:
        """The names of the classes of the output that is explained; none where it has none."""
        from headrace.lifecycle.explanation import choose_target

        if not any(file.path.endswith(_LABELS) for file in found.files):
            return ()
        answer = await self.infer(
            found.model, row, version=found.number, timeout_seconds=timeout_seconds
        )
        name = choose_target(answer.outputs, output, 0).output
        count = answer.outputs[name].reshape(1, -1).shape[1]
        if not 1 < count <= _MOST_LABELS:
            return ()
        best = await self.infer(
            found.model,
            row,
            version=found.number,
            classes={name: count},
            timeout_seconds=timeout_seconds,
        )
        return _labels_of(best.outputs[name].reshape(-1).tolist(), count)


def _labels_of(texts: Sequence[Any], count: int) -> tuple[str, ...]:
    """From `value:index:label`, the labels by index."""
    found = [""] * count
    for each in texts:
        text = each.decode() if isinstance(each, bytes) else str(each)
        _, place, label = [*text.split(":", 2), "", ""][:3]
        if place.isdigit() and int(place) < count:
            found[int(place)] = label
    return tuple(found) if all(found) else ()


def _shape(found: Version, name: str) -> tuple[int, ...]:
    specs = (*found.signature.inputs, *found.signature.optional_inputs)
    spec = next((spec for spec in specs if spec.name == name), None)
    if spec is None:
        raise errors.InvalidArgument(
            "EXPLANATION_INVALID",
            f"the version has no input {name!r}; it has {', '.join(spec.name for spec in specs)}",
        )
    return spec.shape


def _arrays(row: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Rows in the datatypes of the row."""
    import numpy as np

    return {
        name: np.asarray(values, dtype=row[name].dtype if name in row else None)
        for name, values in given.items()
    }


def _covers(values: Mapping[str, float | str], row: Mapping[str, Any]) -> bool:
    return all(
        (f"input {name}" if array.size == 1 else f"input {name}[{place}]") in values
        for name, array in row.items()
        for place in range(array.size)
    )
