"""The rows that candidates are made with and judged by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headrace.lifecycle.predictors.predictor import Array, Tensors, pieces, rows_of
from headrace.lifecycle.tables.fitting import fit
from headrace.lifecycle.tables.opening import open_table
from headrace.lifecycle.tables.rows import Rows, invalid, read_all
from headrace.state.records import Signature

MOST_ROWS = 2000
"""Read of a sample unless more are asked for: they are held in memory, with the parent's answers."""
CALIBRATION_ROWS = 512
_FEWEST_TO_SPLIT = 32


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows, and their targets where there are any."""

    inputs: Tensors
    targets: Array | None

    @property
    def rows(self) -> int:
        """Count them."""
        return rows_of(self.inputs)

    def first(self, rows: int) -> Part:
        """The first of them."""
        return self.take(slice(0, rows))

    def take(self, places: slice) -> Part:
        """Some of them."""
        inputs = {name: array[places] for name, array in self.inputs.items()}
        return Part(inputs, None if self.targets is None else self.targets[places])

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

    @property
    def rows(self) -> int:
        """Count all of them."""
        return self.making.rows + self.judging.rows if self.is_split else self.judging.rows


def read_sample(
    path: Path | str, signature: Signature, *, target: str = "", most_rows: int = MOST_ROWS
) -> Sample:
    """Read a sample for a version's inputs. Raises InvalidArgument (ROWS_INVALID)."""
    source = open_table(path)
    if target and target not in source.columns:
        raise invalid(
            f"{source.name} has no column {target!r} for the target; it has {', '.join(source.columns)}"
        )
    fitting = fit(signature, source.columns, without=[target] if target else [])
    rows = read_all(source, most_rows)
    return sample_of(
        fitting.tensors(rows), _targets(rows, target), signature, source.name, source.digest()
    )


def sample_of(
    inputs: Tensors,
    targets: Array | None,
    signature: Signature,
    name: str = "",
    digest: str = "",
) -> Sample:
    """The sample of these rows. Raises InvalidArgument (ROWS_INVALID) where there are none."""
    step = max(1, fixed_rows(signature))
    count = rows_of(inputs) // step * step
    if count == 0:
        raise invalid(f"{name or 'the sample'} has no rows, or fewer than a run takes ({step})")
    whole = Part(inputs, targets).first(count)
    if count < max(_FEWEST_TO_SPLIT, 2 * step):
        return Sample(name, digest, whole, whole, is_split=False)
    if step > 1:  # runs of a fixed size stay together
        half = count // step // 2 * step
        return Sample(name, digest, whole.first(half), whole.take(slice(half, None)), is_split=True)
    even, odd = whole.take(slice(0, None, 2)), whole.take(slice(1, None, 2))
    return Sample(name, digest, even, odd, is_split=True)


def fixed_rows(signature: Signature) -> int:
    """Return how many rows every run takes; 0 where their number is free."""
    return max(
        (spec.shape[0] for spec in signature.inputs if spec.shape and spec.shape[0] > 0), default=0
    )


def _targets(rows: Rows, target: str) -> Array | None:
    return np.asarray(rows.columns[target]) if target else None
