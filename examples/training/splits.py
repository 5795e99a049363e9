"""Which rows train, which choose, and which judge: apart, and with each class as often as in the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers: to train on, to choose the epoch by, and to judge by, once."""

    training: Rows
    validation: Rows
    test: Rows


def dealt(
    labels: Labels, shares: Sequence[float], seed: int, rows: Rows | None = None
) -> list[Rows]:
    """The rows in parts of about these shares, each class by itself, in an order that the seed decides."""
    random = np.random.default_rng(seed)
    rows = np.arange(len(labels)) if rows is None else rows
    parts: list[list[Rows]] = [[] for _ in shares]
    for each in np.unique(labels[rows]):
        own = random.permutation(rows[labels[rows] == each])
        ends = np.round(np.cumsum(shares) / sum(shares) * len(own)).astype(int)
        for part, piece in zip(parts, np.split(own, ends[:-1]), strict=True):
            part.append(piece)
    return [random.permutation(np.concatenate(part)) for part in parts]


def split(labels: Labels, seed: int) -> Split:
    """70 % to train on, 15 % to choose by, 15 % to judge by."""
    return Split(*dealt(labels, (0.70, 0.15, 0.15), seed))


def folds(labels: Labels, rows: Rows, count: int, seed: int) -> Iterator[Split]:
    """Each fold judges once; a tenth of the others chooses the epoch."""
    parts = dealt(labels, [1] * count, seed, rows)
    for place, test in enumerate(parts):
        others = np.concatenate([part for other, part in enumerate(parts) if other != place])
        training, validation = dealt(labels, (0.9, 0.1), seed, others)
        yield Split(training, validation, test)


def balance(labels: Labels, classes: Sequence[str]) -> dict[str, int]:
    """The rows of each class."""
    counts = np.bincount(labels, minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, counts, strict=True)}
