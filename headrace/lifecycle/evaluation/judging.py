"""Puts answers beside the truth: finds the task, and what is measured for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.evaluation import targets
from headrace.lifecycle.evaluation.answers import Answers, Output, Texts, read_answers
from headrace.lifecycle.evaluation.measures.classes import ClassMeasure
from headrace.lifecycle.evaluation.measures.labels import LabelMeasure
from headrace.lifecycle.evaluation.measures.means import MeanMeasure
from headrace.lifecycle.evaluation.measures.measure import Floats, Measure, Places, Together
from headrace.lifecycle.evaluation.measures.numbers import NumberMeasure
from headrace.lifecycle.evaluation.measures.probabilities import ProbabilityMeasure
from headrace.lifecycle.evaluation.measures.rankings import places_of_groups, ranking_measure
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.tasks import CLASSES, Task, impossible, listed
from headrace.lifecycle.tables.rows import Rows, numbers_of

_COLUMN_OF = re.compile(r"(?P<output>.+)\[(?P<column>\d+)\]")
MISSING = "missing_predictions"


@dataclass(frozen=True, slots=True)
class Judged:
    """Answers beside the truth of the same rows."""

    task: Task
    how: str
    measure: Measure
    classes: tuple[str, ...] = ()
    strata: Places | None = field(default=None, repr=False)
    """The true class of each row."""
    notes: tuple[str, ...] = ()
    confusion: Floats | None = field(default=None, repr=False)
    probabilities: ProbabilityMeasure | None = field(default=None, repr=False)
    numbers: NumberMeasure | None = field(default=None, repr=False)
    places: Places | None = field(default=None, repr=False)
    """Where the measure's rows are groups of rows: the first row of each."""


def judge(question: Question, rows: Rows, outputs: Sequence[Output]) -> Judged:
    """Judge rows whose truth is known. Raises InvalidArgument (EVALUATION_IMPOSSIBLE, ROWS_INVALID)."""
    chosen, outputs = _chosen(question.output, outputs)
    if question.classes:
        outputs = [replace(each, labels=question.classes) for each in outputs]
    if question.task is Task.RANKING:
        return _ranking(question, rows, read_answers(outputs, chosen=chosen))
    if question.task is Task.MULTILABEL or len(question.target) > 1 or _is_listed(question, rows):
        return _labels(question, rows, outputs, chosen)
    column = rows.columns[question.target[0]]
    answers = _answers(question, rows, outputs, chosen)
    task = question.task or targets.task_of(column, answers)
    if task in CLASSES:
        return _classes(question, task, targets.class_targets(column, _names(answers)), answers)
    return _numbers(numbers_of(column, f"target {question.target[0]!r}"), answers)


def _answers(question: Question, rows: Rows, outputs: Sequence[Output], chosen: str) -> Answers:
    """What outputs say, where the target may show that they are of classes."""
    said = question.task in CLASSES or bool(question.classes)
    column = rows.columns[question.target[0]]
    if not said and question.task is None:
        said = any(
            each.are_weights and targets.looks_like_classes(column, each.columns)
            for each in outputs
        )
    answers = read_answers(outputs, chosen=chosen, said=said)
    is_open = question.task is None and answers.numbers is not None
    if is_open and targets.looks_like_two_classes(column, np.asarray(answers.numbers)):
        return read_answers(outputs, chosen=chosen, said=True)
    return answers


def _classes(question: Question, task: Task, truth: Texts, answers: Answers) -> Judged:
    if answers.classes is None:
        raise impossible(f"{answers.how}, is no class: set --task regression")
    answers = targets.completed(answers, truth)
    names, true, said = targets.places_of(truth, answers)
    if task is Task.BINARY and len(names) > 2:
        raise impossible(f"there are {len(names)} classes, and the task 'binary' has two")
    positive = _positive(question, names)
    measure = ClassMeasure(true, said, names, positive)
    parts: list[Measure] = [measure, _missing(said < 0)]
    table = targets.table_of(answers, names, true)
    probabilities = None
    notes = []
    if table is not None:
        probabilities = _probabilities(answers, names, *table, positive)
        parts.append(probabilities)
    elif answers.table is not None:
        unseen = listed(targets.columns_not_known(answers, names, true))
        notes.append(
            f"nothing tells which columns of the probabilities are {unseen}, which were never answered: "
            "nothing is measured of probabilities; --classes A,B,C names the columns in their order"
        )
    return Judged(
        task,
        answers.how,
        Together(parts),
        names,
        true,
        (*notes, *_about_missing(said < 0)),
        measure.confusion(),
        probabilities,
    )


def _probabilities(
    answers: Answers, names: Sequence[str], truth: Places, table: Floats, positive: int
) -> ProbabilityMeasure:
    """Of two classes the one that is looked for comes second, as its probability is measured."""
    if len(answers.names) == 2 and positive >= 0 and answers.names[0] == names[positive]:
        flipped = np.where(truth < 0, truth, 1 - truth)
        return ProbabilityMeasure(flipped, table[:, ::-1], answers.names[::-1])
    return ProbabilityMeasure(truth, table, answers.names)


def _positive(question: Question, names: Sequence[str]) -> int:
    if not question.positive:
        return 1 if len(names) == 2 else -1
    if question.positive not in names or len(names) != 2:
        raise impossible(
            f"{question.positive!r} is not one of two classes; there are {', '.join(map(repr, names))}"
        )
    return list(names).index(question.positive)


def _numbers(truth: Floats, answers: Answers) -> Judged:
    if answers.numbers is None:
        raise impossible(
            f"{answers.how}, is no number: --output NAME or NAME[COLUMN] says which number it is"
        )
    numbers = NumberMeasure(truth.reshape(-1), answers.numbers)
    missing = ~np.isfinite(answers.numbers)
    parts = Together([numbers, _missing(missing)])
    notes = _about_missing(missing)
    return Judged(Task.REGRESSION, answers.how, parts, notes=notes, numbers=numbers)


def _ranking(question: Question, rows: Rows, answers: Answers) -> Judged:
    if not question.group_by:
        raise impossible("a ranking takes --group-by COLUMN: whose rows are ranked together")
    scores = answers.numbers
    if scores is None and answers.table is not None and answers.table.shape[1] == 2:
        scores = answers.table[:, 1]
    if scores is None:
        raise impossible(f"{answers.how}, is no score of a row: --output NAME says which is")
    relevance = numbers_of(rows.columns[question.target[0]], f"target {question.target[0]!r}")
    groups = codes_of(rows, question.group_by)
    measure = ranking_measure(relevance.reshape(-1), scores, groups, question.at)
    firsts = np.array([places[0] for places in places_of_groups(groups)], dtype=np.intp)
    notes = list(_about_missing(~np.isfinite(scores)))
    empty = int(np.isnan(measure.of_rows["mrr"]).sum())
    if empty:
        notes.append(f"{empty} of {measure.rows} groups have nothing relevant, and are left out")
    return Judged(Task.RANKING, answers.how, measure, notes=tuple(notes), places=firsts)


def _labels(question: Question, rows: Rows, outputs: Sequence[Output], chosen: str) -> Judged:
    truth = np.concatenate([_stacked(rows.columns[name], name) for name in question.target], axis=1)
    if not np.isin(truth, (0, 1)).all():
        raise impossible("labels of which any number may hold are 0 or 1 in each row")
    fitting = [
        each
        for each in outputs
        if each.columns == truth.shape[1] and each.name in (chosen or each.name)
    ]
    if not fitting:
        shapes = ", ".join(f"{each.name} {list(each.rows.shape)}" for each in outputs)
        raise impossible(f"no output has a value for each of {truth.shape[1]} labels: {shapes}")
    output = fitting[0]
    table = np.asarray(output.rows.reshape(len(rows), -1), dtype=np.float64)
    how = f"output {output.name!r}, the probability of each label"
    with np.errstate(invalid="ignore", over="ignore"):
        if (table < 0).any() or (table > 1).any():
            table, how = 1 / (1 + np.exp(-table)), f"output {output.name!r}, logits of labels"
    names = output.labels or (
        question.target if len(question.target) > 1 else [str(n) for n in range(truth.shape[1])]
    )
    missing: npt.NDArray[np.bool_] = np.asarray(~np.isfinite(table).all(axis=1))
    measure = Together([LabelMeasure(truth == 1, table, names), _missing(missing)])
    return Judged(Task.MULTILABEL, how, measure, tuple(names), notes=_about_missing(missing))


def codes_of(rows: Rows, column: str) -> Places:
    """The place of each row's value among all values of a column."""
    texts = np.array([str(value) for value in rows.columns[column].tolist()])
    return np.unique(texts, return_inverse=True)[1].astype(np.intp)


def _chosen(text: str, outputs: Sequence[Output]) -> tuple[str, list[Output]]:
    """The name of the chosen output; of one of its columns, as an output by itself."""
    match = _COLUMN_OF.fullmatch(text)
    if match is None or any(each.name == text for each in outputs):
        return text, list(outputs)
    column = int(match["column"])
    for each in outputs:
        if each.name == match["output"] and column < each.columns:
            rows = each.rows.reshape(len(each.rows), -1)[:, column]
            return text, [Output(text, rows)]
    raise impossible(f"the version has no output {text!r}")


def _names(answers: Answers) -> tuple[str, ...]:
    if answers.names and all(answers.names):
        return answers.names
    return tuple({*filter(None, np.asarray(answers.classes).tolist())})


def _is_listed(question: Question, rows: Rows) -> bool:
    column = rows.columns[question.target[0]]
    return column.ndim == 2 or (len(column) > 0 and isinstance(column[0], list | np.ndarray))


def _stacked(column: npt.NDArray[np.generic], name: str) -> Floats:
    if column.dtype == object and len(column) and isinstance(column[0], list | np.ndarray):
        try:
            column = np.array([np.asarray(value, dtype=np.float64) for value in column])
        except ValueError as error:
            raise impossible(
                f"the lists of target {name!r} are no numbers of one length"
            ) from error
    return numbers_of(column, f"target {name!r}").reshape(len(column), -1)


def _missing(missing: npt.NDArray[np.bool_]) -> MeanMeasure:
    return MeanMeasure({MISSING: missing.astype(np.float64)})


def _about_missing(missing: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    count = int(missing.sum())
    if not count:
        return ()
    said = f"{count} of {len(missing)} rows got no answer (NaN)"
    return (f"{said}: as classes they count as wrong, from all else they are left out",)
