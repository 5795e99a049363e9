"""The rows that candidates are made with and judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headrace.lifecycle.evaluation.asking import fitting_of
from headrace.lifecycle.evaluation.data import one_line
from headrace.lifecycle.evaluation.judging import codes_of
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.optimisation.losses import Criterion
from headrace.lifecycle.predictors.predictor import Array, Tensors, pieces, rows_of
from headrace.lifecycle.tables.opening import open_table
from headrace.lifecycle.tables.rows import Rows, invalid, read_all
from headrace.state.records import Signature

MOST_ROWS = 2000
"""Read of a sample unless more are asked for: they are held in memory, with the parent's answers."""
CALIBRATION_ROWS = 512
_FEWEST_TO_SPLIT = 32


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows, and the columns with their truth where there are any."""

    inputs: Tensors
    truths: Rows | None

    @property
    def rows(self) -> int:
        """Count them."""
        return rows_of(self.inputs)

    def first(self, rows: int) -> Part:
        """The first of them."""
        return self.take(slice(0, rows))

    def take(self, places: slice | Array) -> Part:
        """Some of them."""
        inputs = {name: array[places] for name, array in self.inputs.items()}
        return Part(inputs, None if self.truths is None else self.truths.take(places))

    def pieces(self, rows: int) -> Iterator[Tensors]:
        """Yield the inputs so many rows at a time."""
        return pieces(self.inputs, rows)


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of a file: every other one to make candidates with, the rest to judge them by."""

    name: str
    digest: str
    making: Part
    judging: Part
    is_split: bool
    """Whether those are different rows; of few, all serve for both."""

    is_whole: bool = True
    """Whether they are all rows of the file."""

    @property
    def judging_digest(self) -> str:
        """What tells the rows of the judgement from others: the file's digest where they are all of it."""
        if not self.is_split and self.is_whole:
            return self.digest
        part = f"{self.digest} judged {self.is_split} {self.rows} {self.judging.rows}"
        return hashlib.sha256(part.encode()).hexdigest()

    @property
    def judging_name(self) -> str:
        """What the rows of the judgement are called."""
        if not self.is_split and self.is_whole:
            return self.name
        return one_line(f"{self.name}, {self.judging.rows} rows held out")

    @property
    def rows(self) -> int:
        """Count all of them."""
        return self.making.rows + self.judging.rows if self.is_split else self.judging.rows


def read_sample(
    path: Path | str,
    signature: Signature,
    criterion: Criterion | None = None,
    *,
    most_rows: int = MOST_ROWS,
) -> Sample:
    """Read a sample for a version's inputs. Raises InvalidArgument (ROWS_INVALID)."""
    source = open_table(path)
    wanted = _columns_of(criterion)
    for name in wanted:
        if name not in source.columns:
            raise invalid(
                f"{source.name} has no column {name!r} for the truth; it has {', '.join(source.columns)}"
            )
    rows = read_all(source, most_rows)
    question = Question(()) if criterion is None else criterion.asked()
    inputs = fitting_of(signature, rows, question).tensors(rows)
    groups = codes_of(rows, question.group_by) if question.group_by else None
    truths = Rows(0, {name: rows.columns[name] for name in wanted}) if wanted else None
    whole = len(rows) < most_rows
    return sample_of(inputs, truths, signature, source.name, source.digest(), groups, whole=whole)


def sample_of(
    inputs: Tensors,
    truths: Rows | None,
    signature: Signature,
    name: str = "",
    digest: str = "",
    groups: Array | None = None,
    *,
    whole: bool = True,
) -> Sample:
    """The sample of these rows. Raises InvalidArgument (ROWS_INVALID) where there are none.

    `groups`: the group of each row, which stay together. `whole`: they are all rows of their file.
    """
    step = max(1, fixed_rows(signature))
    count = rows_of(inputs) // step * step
    if count == 0:
        raise invalid(f"{name or 'the sample'} has no rows, or fewer than a run takes ({step})")
    part = Part(inputs, truths).first(count)
    whole = whole and count == rows_of(inputs)
    if count < max(_FEWEST_TO_SPLIT, 2 * step):
        return Sample(name, digest, part, part, is_split=False, is_whole=whole)
    making, judging = _split(part, step, groups)
    return Sample(name, digest, making, judging, is_split=True, is_whole=whole)


def _split(part: Part, step: int, groups: Array | None) -> tuple[Part, Part]:
    if step > 1:  # runs of a fixed size stay together
        half = part.rows // step // 2 * step
        return part.first(half), part.take(slice(half, None))
    if groups is not None and len(np.unique(groups)) > 1:
        is_even = groups % 2 == 0
        return part.take(is_even), part.take(~is_even)
    return part.take(slice(0, None, 2)), part.take(slice(1, None, 2))


def _columns_of(criterion: Criterion | None) -> tuple[str, ...]:
    """The columns that the truth takes: targets, groups and the slice's."""
    if criterion is None:
        return ()
    asked = criterion.asked()
    group = (asked.group_by,) if asked.group_by else ()
    return tuple(dict.fromkeys((*asked.target, *group, *asked.slice_by)))


def fixed_rows(signature: Signature) -> int:
    """Return how many rows every run takes; 0 where their number is free."""
    return max(
        (spec.shape[0] for spec in signature.inputs if spec.shape and spec.shape[0] > 0), default=0
    )
