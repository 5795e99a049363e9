"""Makes rows of which some features are those of the row, and the others those of the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.explanation.features import Feature
from headrace.lifecycle.explanation.refusals import invalid
from headrace.lifecycle.predictors.predictor import Array, Tensors, rows_of

Masks = npt.NDArray[np.bool_]
"""[coalitions, features]: True where the feature is the row's, False where it is the baseline's."""


class Masker(Protocol):
    """Makes the rows of coalitions."""

    @property
    def features(self) -> Sequence[Feature]:
        """What coalitions are made of."""

    @property
    def backgrounds(self) -> int:
        """How many rows are asked for each coalition: their answers' mean is its value."""

    def rows(self, masks: Masks) -> dict[str, Array]:
        """The inputs: for each coalition its rows, one behind the other."""


class TensorMasker:
    """Masks elements of inputs; those of no feature stay the row's.

    `background` has rows of the same inputs. Numbers, whole numbers and texts alike are put in the place of
    the row's: a text column gets the baseline's category.
    """

    def __init__(self, row: Tensors, background: Tensors, features: Sequence[Feature]) -> None:
        self.features = tuple(features)
        self.row = {name: array.reshape(-1) for name, array in row.items()}
        self.background = _fitting(row, background)
        self.backgrounds = rows_of(background)
        self._shapes = {name: array.shape[1:] for name, array in row.items()}
        self.owners = _owners(self.row, self.features)

    def rows(self, masks: Masks) -> dict[str, Array]:
        """The inputs: for each coalition a row for each of the background."""
        return {name: self._tensor(name, masks) for name in self.row}

    def _tensor(self, name: str, masks: Masks) -> Array:
        owner = self.owners[name]
        kept = masks[:, np.maximum(owner, 0)] | (owner < 0)
        made = np.where(kept[:, None, :], self.row[name], self.background[name])
        return made.reshape((-1, *self._shapes[name]))


def _fitting(row: Tensors, background: Tensors) -> dict[str, Array]:
    """The background, flattened. Raises InvalidArgument (EXPLANATION_INVALID) for other shapes."""
    found = {}
    for name, array in row.items():
        if name not in background:
            raise invalid(f"the baseline has no input {name!r}; it has {sorted(background)}")
        other = background[name]
        if other.shape[1:] != array.shape[1:]:
            raise invalid(
                f"the baseline of input {name!r} has rows of {list(other.shape[1:])}, and the row is "
                f"{list(array.shape[1:])}"
            )
        found[name] = other.reshape(len(other), -1).astype(array.dtype)
    return found


def _owners(row: Tensors, features: Sequence[Feature]) -> dict[str, npt.NDArray[np.intp]]:
    """By input, the feature of each element; -1: none."""
    owners = {name: np.full(array.size, -1, np.intp) for name, array in row.items()}
    for number, feature in enumerate(features):
        owners[feature.tensor][list(feature.places)] = number
    return owners
