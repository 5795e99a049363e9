"""The weights of classes, from 0 to 1, and how the classes are called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headrace_inference.domain.scheduling.requests import Array

Weights = npt.NDArray[np.float64]

_TOLERANCE = 1e-3
"""Of the sum of weights, which float16 does not give exactly."""


def weights_of(rows: Array, *, is_said: bool) -> Weights | None:
    """The weight of each class by row [rows, classes]; None where these are no weights.

    `is_said`: it is known that they are of classes, so what is no distribution is made one by softmax, and
    one value a row is the weight of the second of two classes.
    """
    values = rows.reshape(len(rows), -1).astype(np.float64)
    if values.shape[1] == 1:
        if not is_said:
            return None
        second = values if _are_shares(values) else _sigmoid(values)
        return np.concatenate((1 - second, second), axis=1)
    if _are_shares(values) and np.allclose(values.sum(axis=1), 1, atol=_TOLERANCE):
        return np.clip(values, 0, 1)
    return _softmax(values) if is_said else None


class Names:
    """What a version's classes are called, by column: as a label file says, or as answers showed."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def know(self, labels: Sequence[str], columns: int) -> None:
        """Take them from a file; without one they are numbers."""
        if not self._names:
            enough = len(labels) >= columns
            self._names = {
                place: labels[place] if enough else str(place) for place in range(columns)
            }

    def learn(self, contents: Sequence[str], table: Weights, are_numbers: bool) -> None:  # noqa: FBT001
        """Learn from rows whose class is known; of two classes that are 0 and 1, at once."""
        if len(self._names) >= table.shape[1]:
            return
        if are_numbers and table.shape[1] == 2 and set(contents) <= {"0", "1"}:
            self._names = {0: "0", 1: "1"}
            return
        for content, place in zip(contents, table.argmax(axis=1).tolist(), strict=True):
            self._names.setdefault(place, content)

    def of(self, place: int) -> str:
        """The class of a column; '' where it is not known."""
        return self._names.get(place, "")


def _are_shares(values: Weights) -> bool:
    return bool(((values >= -_TOLERANCE) & (values <= 1 + _TOLERANCE)).all())


def _softmax(values: Weights) -> Weights:
    with np.errstate(all="ignore"):
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _sigmoid(values: Weights) -> Weights:
    with np.errstate(all="ignore"):
        return np.asarray(1 / (1 + np.exp(-values)))
