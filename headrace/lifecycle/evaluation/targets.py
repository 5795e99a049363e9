"""The truth of rows: classes among those that a version knows, numbers, or labels that hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.evaluation.answers import Answers, Texts, class_text
from headrace.lifecycle.evaluation.measures.measure import Floats, Places
from headrace.lifecycle.evaluation.tasks import Task, impossible, listed
from headrace.lifecycle.tables.rows import MISSING, Array


def known_targets(column: Array) -> npt.NDArray[np.bool_]:
    """Say for each row whether it has a truth."""
    if column.dtype.kind == "f":
        return np.asarray(np.isfinite(column.reshape(len(column), -1)).all(axis=1))
    return np.array([not is_missing(value) for value in column.tolist()], dtype=bool)


def is_missing(value: object) -> bool:
    """Return whether a value stands for none."""
    if isinstance(value, float):
        return bool(np.isnan(value))
    return value is None or (isinstance(value, str) and value.strip() in MISSING)


def class_targets(column: Array, names: Collection[str]) -> Texts:
    """The true classes as the known ones are written: `3` for 3.0, `true` for True, `1` for both."""
    found: Texts = np.empty(len(column), dtype=object)
    spelled = _booleans(names)
    whole = bool(names) and all(name.lstrip("-").isdigit() for name in names)
    for place, value in enumerate(column.tolist()):
        text = str(class_text(value)).strip()
        if text not in names:
            text = spelled.get(text, _whole(text) if whole else text)
        found[place] = text
    return found


def _booleans(names: Collection[str]) -> dict[str, str]:
    """How true and false are written among the known classes; 0 and 1 are what exporters make of them."""
    for false, true in (("false", "true"), ("False", "True"), ("0", "1")):
        if (false in names or true in names) and set(names) <= {false, true}:
            return {
                **dict.fromkeys(("false", "False", "FALSE"), false),
                **dict.fromkeys(("true", "True", "TRUE"), true),
            }
    return {}


def completed(answers: Answers, truth: Texts) -> Answers:
    """The answers with the name of a column that was never the largest, where only one class is left."""
    left = sorted(set(truth) - set(answers.names))
    if answers.names.count("") != 1 or len(left) != 1:
        return answers
    return replace(answers, names=tuple(name or left[0] for name in answers.names))


def places_of(truth: Texts, answers: Answers) -> tuple[tuple[str, ...], Places, Places]:
    """All classes; the place in them of the true one of each row, and of the answered one (-1: none).

    Raises InvalidArgument (EVALUATION_IMPOSSIBLE) for true classes that the version does not have.
    """
    answered = answers.classes if answers.classes is not None else np.array([], dtype=object)
    open_ended = not answers.names or not all(answers.names)
    names = list(answers.names) if not open_ended else _found(answered, truth)
    places = {name: place for place, name in enumerate(names)}
    unknown = sorted(set(truth) - set(places))
    if open_ended and answers.names and len(names) > len(answers.names):
        unknown, names = sorted(set(truth) - set(answered)), sorted({*answered} - {None})
    if unknown:
        raise impossible(
            f"the target has {listed(unknown)}, which the version does not know: its classes are "
            f"{listed(names)}. --classes A,B,C names them in their order, as a file labels.txt beside "
            "the graph does"
        )
    true = np.array([places[name] for name in truth], dtype=np.intp)
    said = np.array([places.get(name, -1) for name in answered], dtype=np.intp)
    return tuple(names), true, said


def table_of(
    answers: Answers, classes: Sequence[str], truth: Places
) -> tuple[Places, Floats] | None:
    """The truth by column of the probabilities, and these; None where a true class has no known column."""
    if answers.table is None or columns_not_known(answers, classes, truth):
        return None
    columns = {name: place for place, name in enumerate(answers.names) if name}
    of_class = np.array([columns.get(name, -1) for name in classes], dtype=np.intp)
    return of_class[truth], answers.table


def columns_not_known(answers: Answers, classes: Sequence[str], truth: Places) -> tuple[str, ...]:
    """The true classes of which nothing tells which column of the probabilities is theirs."""
    present = [classes[place] for place in np.unique(truth)]
    return tuple(name for name in present if name not in answers.names)


def task_of(column: Array, answers: Answers) -> Task:
    """The task that a target and answers are of."""
    if answers.classes is None:
        return Task.REGRESSION
    seen = {*filter(None, answers.classes.tolist()), *class_targets(column, ()).tolist()}
    return Task.BINARY if (len(answers.names) or len(seen)) <= 2 else Task.MULTICLASS


def looks_like_two_classes(column: Array, numbers: Floats) -> bool:
    """Return whether a target is of two classes, and answers are between 0 and 1."""
    values = set(class_targets(column, ()).tolist())
    known = numbers[np.isfinite(numbers)]
    inside = bool(((known >= 0) & (known <= 1)).all())
    return len(values) <= 2 and inside and values <= {"0", "1", "true", "false", "True", "False"}


def looks_like_classes(column: Array, columns: int) -> bool:
    """Return whether a target is of as many classes as an output has columns, or of texts."""
    texts = set(class_targets(column, ()).tolist())
    return all(text.isdigit() and int(text) < columns for text in texts)


def _found(answered: Texts, truth: Texts) -> list[str]:
    return sorted({*filter(None, answered.tolist()), *truth.tolist()}, key=_natural)


def _natural(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return np.inf, text


def _whole(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text
