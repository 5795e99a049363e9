"""Evaluates a version by the answers that it serves, or anything that answers rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace import errors
from headrace.client import AsyncClient, Version
from headrace.lifecycle.evaluation.asking import answered, fitting_of, outputs_to_ask
from headrace.lifecycle.evaluation.data import Data, EvaluationData, read_data, signed
from headrace.lifecycle.evaluation.data_checks import check_data
from headrace.lifecycle.evaluation.evaluation import FEW_ROWS, Evaluation
from headrace.lifecycle.evaluation.judging import judge
from headrace.lifecycle.evaluation.label_files import labels_of
from headrace.lifecycle.evaluation.measuring import measured
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.resampling import RESAMPLES
from headrace.lifecycle.evaluation.targets import class_targets, known_targets
from headrace.lifecycle.evaluation.tasks import CLASSES, Task, impossible, listed
from headrace.lifecycle.evaluation.text_rankings import TextRanker, ranking_of
from headrace.lifecycle.evaluation.texts import evaluate_texts
from headrace.lifecycle.predictors import Predictor, served_predictor
from headrace.lifecycle.tables import Rows
from headrace.state.language_records import VersionKind

NOT_LOADED = (
    "the version has to be loaded: `headrace model NAME --keep-latest 2` keeps the two newest, and an "
    "alias (`headrace alias NAME evaluated VERSION`) has any version loaded"
)


async def evaluate(
    client: AsyncClient,
    model: str,
    data: Data,
    *,
    target: str | Sequence[str],
    version: int | str = "",
    inputs: Mapping[str, Sequence[str]] | None = None,
    output: str = "",
    task: Task | str | None = None,
    classes: Sequence[str] = (),
    positive: str = "",
    group_by: str = "",
    slice_by: Sequence[str] = (),
    ignored: Sequence[str] = (),
    at: int = 10,
    limit: int | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    data_name: str = "",
    on_rows: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Have the served version answer rows whose truth is known, and measure how good its answers are.

    `model` may be `name@alias` or `name/version`; without a version it is the route's stable one. `data`
    is a file, a folder, or columns by name; `target` names the column of the truth, several for labels of
    which any number may hold. The task follows from the target and the outputs unless it is given. Metrics
    have 95 % intervals, of `resamples` resamples where no formula gives one: of rows, or of groups of rows
    that `group_by` names. Nothing is stored: `store` does that.

    Raises InvalidArgument (EVALUATION_IMPOSSIBLE, ROWS_INVALID) and what a call raises.
    """
    question = Question(
        (target,) if isinstance(target, str) else tuple(target),
        inputs,
        output,
        None if task is None else Task(task),
        tuple(classes),
        positive,
        group_by,
        tuple(slice_by),
        tuple(ignored),
        at,
        seed,
        resamples,
    )
    found = await named_version(client, model, version)
    read = read_data(data, name=data_name, limit=limit, seed=seed)
    try:
        return await evaluate_version(client, found, read, question, on_rows)
    except (errors.Unavailable, errors.NotFound) as error:
        error.add_note(NOT_LOADED)
        raise


async def named_version(client: AsyncClient, model: str, version: int | str = "") -> Version:
    """The version that `name`, `name@alias` or `name/version` means. Raises NotFound."""
    for mark in "@/":
        name, found, of = model.partition(mark)
        if found:
            return await client.version(name, await client.resolve(name, of))
    if version != "":
        return await client.version(model, await client.resolve(model, version))
    return await client.version(model, (await client.route(model)).stable)


async def evaluate_version(
    client: AsyncClient,
    version: Version,
    data: EvaluationData,
    question: Question,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """The same for a version and rows that are there already."""
    kind = version.kind
    if kind is VersionKind.GENERATION and question.task in (None, Task.GENERATION):
        return await evaluate_texts(client, version, data, question, on_rows)
    if question.task is Task.GENERATION:
        raise impossible(f"version {version.number} is of kind '{kind}', and generates no text")
    if kind in (VersionKind.EMBEDDING, VersionKind.RERANK):
        ranker = TextRanker(client, version.model, version.number, kind)
        return await evaluate_rows(
            ranker,
            data,
            ranking_of(question, f"version {version.number}", kind),
            model=version.model,
            version=version.number,
            on_rows=on_rows,
        )
    if kind is not VersionKind.TENSORS:
        raise impossible(
            f"version {version.number} is of kind '{kind}', and has no numbers or classes"
        )
    labels = await labels_of(client, version)
    asked = outputs_to_ask(version.signature, question.output)
    predictor = served_predictor(client, version, outputs=asked)
    return await evaluate_rows(
        predictor,
        data,
        question,
        labels,
        model=version.model,
        version=version.number,
        on_rows=on_rows,
    )


async def evaluate_rows(
    predictor: Predictor,
    data: EvaluationData,
    question: Question,
    labels: Mapping[str, Sequence[str]] | None = None,
    *,
    model: str = "",
    version: int = 0,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Measure the answers of whatever answers rows."""
    began = time.monotonic()
    rows = data.rows
    known = known_rows(rows, question)
    truths = rows.take(known)
    fitting = fitting_of(predictor.signature, rows, question)
    outputs = await answered(predictor, truths, fitting, labels or {}, on_rows)
    judged = judge(question, truths, outputs)
    metrics, resampling, notes = measured(judged, truths, question)
    target = question.target[0]
    is_of_classes = judged.task in CLASSES
    truth = class_targets(truths.columns[target], judged.classes) if is_of_classes else None
    few = {each.slice: each.rows for each in metrics if each.slice and each.rows < FEW_ROWS}
    small = [f"slices of few rows say little: {listed(few)}"] if few else []
    confusion = judged.confusion
    return Evaluation(
        model,
        version,
        judged.task,
        judged.how,
        ", ".join(question.target),
        data.name,
        data.digest,
        len(truths),
        check_data(rows, target, known, truth),
        signed(metrics, data),
        judged.classes,
        judged.measure.undefined(),
        (*filter(None, [fitting.order()]), *judged.notes, *notes, *small),
        () if confusion is None else tuple(tuple(map(int, row)) for row in confusion.tolist()),
        requests=predictor.requests,
        seconds=time.monotonic() - began,
        seed=question.seed,
        resamples=resampling.draws,
        judged=judged,
        resampling=resampling,
    )


def known_rows(rows: Rows, question: Question) -> npt.NDArray[Any]:
    """Say for each row whether it has a truth. Raises InvalidArgument (EVALUATION_IMPOSSIBLE)."""
    wanted = (*question.target, *filter(None, [question.group_by]), *question.ignored)
    missing = [name for name in wanted if name not in rows.columns]
    if missing:
        raise impossible(f"there is no column {missing[0]!r}; there are {listed(rows.columns)}")
    known = np.all([known_targets(rows.columns[name]) for name in question.target], axis=0)
    if not known.any():
        raise impossible(f"no row has a value in {question.target[0]!r}")
    return np.asarray(known)
