"""What answers rows, as evaluation, explanation and batches ask it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from headrace.errors import InvalidArgument
from headrace.state.records import Signature

Array = npt.NDArray[Any]
Tensors = Mapping[str, Array]


class Predictor(Protocol):
    """Answers rows, each for itself: what is beside a row never changes its answer."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""

    @property
    def requests(self) -> int:
        """How many requests or runs it took so far."""

    async def predict(self, inputs: Tensors) -> dict[str, Array]:
        """The outputs by name for inputs by name, both with the rows first.

        However many rows there are: they are split, and put together again. Raises HeadraceError.
        """


def rows_of(inputs: Tensors) -> int:
    """The number of rows. Raises InvalidArgument (ROWS_INVALID) where inputs differ in it."""
    counts = {name: len(array) for name, array in inputs.items()}
    if len(set(counts.values())) != 1:
        raise InvalidArgument("ROWS_INVALID", f"inputs have different numbers of rows: {counts}")
    return next(iter(counts.values()))


def pieces(inputs: Tensors, rows: int) -> Iterator[Tensors]:
    """Yield the inputs so many rows at a time."""
    for start in range(0, rows_of(inputs), rows):
        yield {name: array[start : start + rows] for name, array in inputs.items()}


def joined(answers: list[Mapping[str, Array]]) -> dict[str, Array]:
    """The outputs of all pieces, one behind the other."""
    return {name: np.concatenate([each[name] for each in answers]) for name in answers[0]}


def check_rows(
    outputs: Mapping[str, Array], rows: int, names: tuple[str, ...] = ()
) -> dict[str, Array]:
    """The outputs that have a row for each that was asked. Raises InvalidArgument where none has.

    With `names`, it are these that must have them.
    """
    fitting = {name: array for name, array in outputs.items() if array.ndim and len(array) == rows}
    missing = [name for name in names if name not in fitting] or ([] if fitting else list(outputs))
    if missing:
        shapes = ", ".join(f"{name} {list(outputs[name].shape)}" for name in missing)
        raise InvalidArgument(
            "OUTPUT_WITHOUT_ROWS",
            f"{rows} rows were asked, and there is no answer for each: {shapes}",
        )
    return fitting
