"""Reads what outputs say of rows, by the rules by which replicas read it for the monitor.

The first output that is one of these is the answer, unless one is named:

- a class a row (an integer, a text, a boolean), with the probabilities that another output has beside it;
- probabilities of classes, or scores of which softmax makes some, where a label file, the output's name or
  the caller says that they are of classes;
- a number a row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.evaluation.measures.measure import Floats
from headrace.lifecycle.evaluation.tasks import impossible
from headrace.lifecycle.predictors.predictor import Array

_CLASS_NAMES = re.compile(r"logit|prob|softmax|sigmoid|score|class|label", re.IGNORECASE)
_ONE_CLASS_NAMES = re.compile(r"logit|prob", re.IGNORECASE)
_CLASS_KINDS = frozenset("iubOSU")
_TOLERANCE = 1e-3
"""Of the sum of weights, which float16 does not give exactly."""

Texts = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Output:
    """Rows of one output, with the names of its classes where they are known."""

    name: str
    rows: Array = field(repr=False)
    labels: Sequence[str] = ()

    @property
    def columns(self) -> int:
        """The values a row."""
        return int(np.prod(self.rows.shape[1:]))

    @property
    def is_class(self) -> bool:
        """Return whether each row is a class by itself."""
        return self.rows.dtype.kind in _CLASS_KINDS and self.columns == 1

    @property
    def is_number(self) -> bool:
        """Return whether each row is a number."""
        return _is_float(self.rows) and self.columns == 1

    @property
    def are_weights(self) -> bool:
        """Return whether each row has a value for each class."""
        return _is_float(self.rows) and self.rows.ndim == 2 and self.columns > 1

    @property
    def is_said_to_be_classes(self) -> bool:
        """Return whether more than the values says that they are of classes."""
        if self.columns == 1:
            return len(self.labels) == 2 or bool(_ONE_CLASS_NAMES.search(self.name))
        return bool(self.labels) or bool(_CLASS_NAMES.search(self.name))


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered to rows: numbers, or classes, or probabilities of classes, or both of these."""

    how: str
    """Which outputs say so, and what was made of them, for people."""
    numbers: Floats | None = field(default=None, repr=False)
    classes: Texts | None = field(default=None, repr=False)
    """The class of each row; None where there is none."""
    names: tuple[str, ...] = ()
    """What the columns of the table are called; '' where no row showed it."""
    table: Floats | None = field(default=None, repr=False)


def read_answers(outputs: Sequence[Output], *, chosen: str = "", said: bool = False) -> Answers:
    """What outputs say of rows. `said`: they are known to be of classes.

    Raises InvalidArgument (EVALUATION_IMPOSSIBLE) where no output says anything of a row.
    """
    named = [each for each in outputs if not chosen or each.name == chosen]
    if not named:
        known = ", ".join(repr(each.name) for each in outputs)
        raise impossible(f"the version has no output {chosen!r}; it has {known}")
    for each in named:
        found = _read(each, outputs, alone=bool(chosen), said=said)
        if found is not None:
            return found
    shapes = ", ".join(f"{each.name} {list(each.rows.shape)}" for each in named)
    raise impossible(
        f"none of these is a class, a number or a probability of each class a row: {shapes}; --output "
        "names the output that is"
    )


def _read(each: Output, outputs: Sequence[Output], *, alone: bool, said: bool) -> Answers | None:
    if each.is_class:
        beside = next((one for one in outputs if one.are_weights), None)
        return _with_classes(each, beside)
    if each.are_weights:
        label = next((one for one in outputs if one.is_class), None)
        if label is not None and not alone:
            return _with_classes(label, each)
        return _of_weights(each, said=said or alone or each.is_said_to_be_classes)
    if each.is_number and (said or each.is_said_to_be_classes):
        return _of_one_weight(each)
    if each.is_number:
        return Answers(f"output {each.name!r}, a number", each.rows.reshape(-1).astype(float))
    return None


def _with_classes(label: Output, weights: Output | None) -> Answers:
    """Classes of rows, with the probabilities beside them if those are probabilities indeed."""
    classes = texts_of(label.rows)
    table = None if weights is None else _floats(weights)
    if weights is None or table is None or not _are_distributions(table):
        return Answers(f"output {label.name!r}, a class", classes=classes)
    names = tuple(weights.labels)
    if len(names) != table.shape[1] or not {*filter(None, classes)} <= {*names}:
        names = _learnt(classes, table, are_numbers=label.rows.dtype.kind in "iu")
    how = f"output {label.name!r}, a class, and {weights.name!r}, its probabilities"
    return Answers(how, classes=classes, names=names, table=table)


def _of_weights(output: Output, *, said: bool) -> Answers | None:
    table = _floats(output)
    if _are_distributions(table):
        how = f"output {output.name!r}, probabilities"
        table = np.clip(table, 0, 1)
    elif said:
        how = f"output {output.name!r}, scores of which softmax made probabilities"
        table = _softmax(table)
    else:
        return None
    return _weighed(output, table, how)


def _of_one_weight(output: Output) -> Answers:
    """One value a row is the weight of the second of two classes."""
    values = _floats(output)
    if _are_shares(values):
        how = f"output {output.name!r}, the probability of the second of two classes"
    else:
        how = (
            f"output {output.name!r}, a logit of which sigmoid made the second class's probability"
        )
        with np.errstate(over="ignore", invalid="ignore"):
            values = 1 / (1 + np.exp(-values))
    return _weighed(output, np.concatenate((1 - values, values), axis=1), how)


def _weighed(output: Output, table: Floats, how: str) -> Answers:
    count = table.shape[1]
    names = (
        tuple(output.labels[:count])
        if len(output.labels) >= count
        else tuple(str(place) for place in range(count))
    )
    if len(set(names)) < count:
        raise impossible(f"two classes of output {output.name!r} have the same label")
    known = np.isfinite(table).all(axis=1)
    classes = np.full(len(table), None, dtype=object)
    best = np.nan_to_num(table, nan=-1.0).argmax(axis=1)
    classes[known] = np.array(names, dtype=object)[best[known]]
    return Answers(how, classes=classes, names=names, table=table)


def texts_of(rows: Array) -> Texts:
    """Classes as texts, as labels have them: 3 for 3.0, `true`, or what a text says; None for no value."""
    found = np.empty(len(rows), dtype=object)
    found[:] = [class_text(value) for value in rows.reshape(-1).tolist()]
    return found


def class_text(value: object) -> str | None:
    """A class as a text; None where there is none."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _learnt(classes: Texts, table: Floats, *, are_numbers: bool) -> tuple[str, ...]:
    """What columns are called, from rows whose class is known: it is that of the most probable column."""
    count = table.shape[1]
    if are_numbers and set(classes) <= {str(place) for place in range(count)}:
        return tuple(str(place) for place in range(count))
    names = [""] * count
    known = np.isfinite(table).all(axis=1)
    best = table[known].argmax(axis=1)
    for place, first in zip(*np.unique(best, return_index=True), strict=True):
        names[int(place)] = str(classes[known][first])
    return tuple(names) if len(set(filter(None, names))) == sum(map(bool, names)) else ("",) * count


def _floats(output: Output) -> Floats:
    return np.asarray(output.rows.reshape(len(output.rows), -1), dtype=np.float64)


def _is_float(rows: Array) -> bool:
    """Numbers of floating point; those of bfloat16 have a kind of their own."""
    return rows.dtype.kind == "f" or rows.dtype.name == "bfloat16"


def _are_distributions(table: Floats) -> bool:
    known = table[np.isfinite(table).all(axis=1)]
    return _are_shares(known) and np.allclose(known.sum(axis=1), 1, atol=_TOLERANCE)


def _are_shares(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return bool(((known >= -_TOLERANCE) & (known <= 1 + _TOLERANCE)).all())


def _softmax(values: Floats) -> Floats:
    with np.errstate(all="ignore"):
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
