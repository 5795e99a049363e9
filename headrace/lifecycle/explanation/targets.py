"""Decides which number of an answer is explained: a class of an output, or a value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.explanation.class_names import learnt_names
from headrace.lifecycle.explanation.refusals import invalid
from headrace.lifecycle.predictors.predictor import Array

_WEIGHTS = re.compile(r"prob|score|logit|softmax|confidence", re.IGNORECASE)
_PROBABILITIES = re.compile(r"prob|softmax|confidence", re.IGNORECASE)
_SUM_TOLERANCE = 1e-3
_LEAST = 1e-7
"""What FP32 can tell from certainty: beyond it are no log-odds."""
LOG_ODDS = "log-odds"


@dataclass(frozen=True, slots=True)
class Target:
    """A column of an output's flattened row, and what its number is."""

    output: str
    column: int = 0
    scale: str = "value"
    """`probability`, `log-odds` of one, `score` (a logit or another weight of a class), `value`."""
    label: str = ""
    """The name of the class, where it has one."""

    @property
    def name(self) -> str:
        """The name for people."""
        if self.scale == "value" and not self.column:
            return self.output
        return f"{self.scale} of class {self.label or self.column} in {self.output}"

    def of(self, outputs: Mapping[str, Array]) -> npt.NDArray[np.float64]:
        """The number of each row."""
        array = outputs[self.output]
        numbers = array.reshape(len(array), -1)[:, self.column].astype(np.float64)
        return _log_odds(numbers) if self.scale == LOG_ODDS else numbers

    def in_log_odds(self) -> Target:
        """The same in log-odds, which go on where probabilities end. Raises InvalidArgument for others."""
        if self.scale != "probability":
            raise invalid(f"{self.name} is no probability: it has no log-odds")
        return replace(self, scale=LOG_ODDS)


def _log_odds(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    inside = np.clip(shares, _LEAST, 1 - _LEAST)
    odds: npt.NDArray[np.float64] = np.log(inside / (1 - inside))
    return odds


def choose_target(
    answer: Mapping[str, Array],
    output: str = "",
    column: int | str | None = None,
    labels: Sequence[str] = (),
) -> Target:
    """The target in the answer to one row: what was named, else the predicted class, else the only value.

    Raises InvalidArgument (EXPLANATION_INVALID) where it has to be named: several outputs of numbers, or
    one whose columns are no classes, such as an embedding.
    """
    name = output or _only_output(answer)
    if name not in answer:
        raise invalid(f"there is no output {name!r}; there are {', '.join(answer)}")
    array = answer[name]
    if array.dtype.kind not in "fiuV":
        raise invalid(
            f"output {name!r} is of texts, which have no more and less: name one of numbers, of "
            f"{', '.join(answer)}"
        )
    values = array.reshape(-1).astype(np.float64)
    scale = _scale(name, values, labels)
    labels = labels or learnt_names(answer, name)
    place = _column(column, values, scale, name, labels)
    return Target(name, place, scale, labels[place] if place < len(labels) else "")


def _only_output(answer: Mapping[str, Array]) -> str:
    numbers = [name for name, array in answer.items() if array.dtype.kind in "fV"]
    weights = [name for name in numbers if _WEIGHTS.search(name)]
    for found in (numbers, weights):
        if len(found) == 1:
            return found[0]
    whole = [name for name, array in answer.items() if array.dtype.kind in "iu"]
    if not numbers and len(whole) == 1:
        return whole[0]
    raise invalid(f"name the output to explain: there are {', '.join(answer)}")


def _scale(name: str, values: Array, labels: Sequence[str]) -> str:
    if len(values) == 1:
        inside = 0 <= values[0] <= 1
        return "probability" if inside and _PROBABILITIES.search(name) else "value"
    inside = bool(np.all((values >= 0) & (values <= 1)))
    if inside and abs(values.sum() - 1) < _SUM_TOLERANCE:
        return "probability"
    return "score" if _WEIGHTS.search(name) or labels else "value"


def _column(
    given: int | str | None, values: Array, scale: str, name: str, labels: Sequence[str]
) -> int:
    if given is None and scale == "value" and len(values) > 1:
        raise invalid(
            f"output {name!r} has {len(values)} numbers a row, and nothing says that they are classes: say "
            "which one to explain"
        )
    if given is None:
        return int(np.argmax(values))
    if isinstance(given, str) and given in labels:
        return list(labels).index(given)
    try:
        place = int(given)
    except ValueError:
        raise invalid(
            f"output {name!r} has no class {given!r}; it has {list(labels)[:20]}"
        ) from None
    if not 0 <= place < len(values):
        raise invalid(f"output {name!r} has columns 0 to {len(values) - 1}, not {place}")
    return place
