"""Reads what rows of outputs say: a class and how sure the version is of it, or a number.

The first output that is one of these is the answer, unless a setting names another:

- a class a row (an integer, a text, a boolean), with the weights of classes that another output has beside
  it, as scikit-learn's classifiers give them;
- weights of classes alone, as softmax gives them; or scores of which softmax makes weights, where a label
  file or the output's name says that they are of classes;
- a number a row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headrace.state.records import TensorSpec
from headrace_inference.domain.sampling.class_weights import Names, weights_of
from headrace_inference.domain.scheduling.requests import Array

MAX_LENGTH = 256
"""Characters of a class that are told: the monitor takes no longer ones."""

_CLASS_NAMES = re.compile(r"logit|prob|softmax|sigmoid|score|class|label", re.IGNORECASE)
_CLASS_KINDS = frozenset("iubOSU")


class RowAnswer(NamedTuple):
    """The answer to one row; the weights are from 0 to 1, None where they are not known."""

    content: str | float
    confidence: float | None = None
    score: float | None = None
    """Of two classes, the weight of `positive`."""
    positive: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """Rows of one output, with the names of its classes where a label file has them."""

    name: str
    rows: Array
    labels: Sequence[str] = ()

    @property
    def is_class(self) -> bool:
        """Return whether each row is a class by itself."""
        return self.rows.dtype.kind in _CLASS_KINDS and _columns(self.rows) == 1

    @property
    def are_weights(self) -> bool:
        """Return whether each row has a weight for each class."""
        if self.rows.dtype.kind != "f" or self.rows.ndim < 2:
            return False
        if _columns(self.rows) == 1:  # of one of two classes, if something says so
            return len(self.labels) == 2 or bool(re.search("logit|prob", self.name, re.IGNORECASE))
        return self.rows.ndim == 2

    @property
    def is_number(self) -> bool:
        """Return whether each row is a number."""
        return self.rows.dtype.kind == "f" and _columns(self.rows) == 1

    @property
    def is_said_to_be_classes(self) -> bool:
        """Return whether more than the values says that they are of classes."""
        return bool(self.labels) or bool(_CLASS_NAMES.search(self.name))


class AnswerReader:
    """Reads the outputs of one version; it learns how their classes are called."""

    def __init__(self, output: str = "") -> None:
        self._output = output
        self._names = Names()

    def read(self, outputs: Sequence[Output]) -> list[RowAnswer | None]:
        """Return the answer to each row; None where there is none. All outputs have as many rows."""
        named = [each for each in outputs if not self._output or each.name == self._output]
        for each in named:
            if each.is_class:
                beside = next((one for one in outputs if one.are_weights), None)
                return self._read_classes(each, beside)
            if each.are_weights:
                label = next((one for one in outputs if one.is_class), None)
                if label is not None and not self._output:
                    return self._read_classes(label, each)
                answers = self._read_weights(each)
                if answers:
                    return answers
            elif each.is_number:
                return [_number(value) for value in each.rows.reshape(-1).tolist()]
        return []

    def _read_classes(self, label: Output, weights: Output | None) -> list[RowAnswer | None]:
        """Read classes, with weights beside them if those are weights indeed."""
        contents = [class_text(value) for value in label.rows.reshape(-1).tolist()]
        table = None if weights is None else weights_of(weights.rows, is_said=False)
        if table is None or table.shape[1] < 2:
            return [RowAnswer(content) for content in contents]
        self._names.learn(contents, table, label.rows.dtype.kind in "iu")
        return self._weighed(contents, table)

    def _read_weights(self, output: Output) -> list[RowAnswer | None]:
        table = weights_of(output.rows, is_said=bool(self._output) or output.is_said_to_be_classes)
        if table is None:
            return []
        self._names.know([text[:MAX_LENGTH] for text in output.labels], table.shape[1])
        best = table.argmax(axis=1).tolist()
        return self._weighed([self._names.of(place) for place in best], table)

    def _weighed(
        self, contents: Sequence[str], table: npt.NDArray[np.float64]
    ) -> list[RowAnswer | None]:
        if table.shape[1] > 2:
            best = table.max(axis=1).tolist()
            return [
                RowAnswer(content, weight) if np.isfinite(weight) else None
                for content, weight in zip(contents, best, strict=True)
            ]
        positive = self._names.of(1)
        if not positive:  # it was answered by no row yet: a score of an unknown class says nothing
            return [RowAnswer(content) for content in contents]
        return [
            RowAnswer(content, max(first, second), second, positive)
            if np.isfinite(second)
            else None
            for content, (first, second) in zip(contents, table.tolist(), strict=True)
        ]


def outputs_of(
    specs: Sequence[TensorSpec], rows: Sequence[Array | None], labels: Mapping[str, Sequence[bytes]]
) -> list[Output]:
    """The outputs that have rows, with their label files."""
    return [
        Output(
            spec.name, each, [text.decode("utf-8", "replace") for text in labels.get(spec.name, ())]
        )
        for spec, each in zip(specs, rows, strict=True)
        if each is not None
    ]


def rows_within(specs: Sequence[TensorSpec], rows: Sequence[Array | None]) -> list[Array | None]:
    """The rows of a request to a version that does not batch: what is taken of it is one row, all of it.

    An output's first dimension is then that of rows, unless it has only one, of a fixed length.
    """
    within: list[Array | None] = []
    for spec, each in zip(specs, rows, strict=True):
        has_rows = len(spec.shape) > 1 or -1 in spec.shape
        within.append(each[0] if each is not None and has_rows else each)
    counts = {len(each) for each in within if each is not None and each.ndim}
    return within if len(counts) == 1 else []


def are_whole(specs: Sequence[TensorSpec], rows: Sequence[Array | None]) -> bool:
    """Return whether each row is all that a request got: it has as many dimensions as the output."""
    return any(
        each is not None and not spec.unranked and each.ndim == len(spec.shape) + 1
        for spec, each in zip(specs, rows, strict=True)
    )


def class_text(value: object) -> str:
    """A class as a text, as labels have it: 3, `true`, or what a text says."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")[:MAX_LENGTH]
    return ("true" if value else "false") if isinstance(value, bool) else str(value)[:MAX_LENGTH]


def _number(value: float) -> RowAnswer | None:
    return RowAnswer(value) if np.isfinite(value) else None


def _columns(rows: Array) -> int:
    return int(np.prod(rows.shape[1:]))
