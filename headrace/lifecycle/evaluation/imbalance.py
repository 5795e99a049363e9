"""Makes up for classes that are rare, in training alone: what is measured keeps the shares that it has."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.lifecycle.evaluation.folds import Values
from headrace.lifecycle.evaluation.measures.measure import Floats, Places
from headrace.lifecycle.evaluation.tasks import impossible


def class_weights(classes: Values) -> dict[Any, float]:
    """A weight for each class, with which all count as much: rows / (classes * rows of the class)."""
    names, counts = np.unique(np.asarray(classes), return_counts=True)
    weights = counts.sum() / (len(names) * counts)
    return dict(zip(names.tolist(), weights.tolist(), strict=True))


def row_weights(classes: Values) -> Floats:
    """The weight of the class of each row, as libraries take them for `sample_weight`."""
    weights = class_weights(classes)
    return np.array([weights[each] for each in np.asarray(classes).tolist()])


def balanced_rows(classes: Values, *, how: str = "over", seed: int = 0) -> Places:
    """Places of rows in which each class is as frequent, in an order that is drawn.

    `over` repeats rows of rare classes, `under` leaves rows of frequent ones out. Only ever of rows that
    are trained on: a repeated row that is held back, too, is no test.
    """
    if how not in ("over", "under"):
        raise impossible(f"{how!r} is no way to balance: it is 'over' or 'under'")
    rng = np.random.default_rng(seed)
    column = np.asarray(classes)
    places = [np.flatnonzero(column == name) for name in np.unique(column)]
    wanted = (max if how == "over" else min)(map(len, places))
    drawn = []
    for of_class in places:
        extra = max(wanted - len(of_class), 0)
        kept = of_class if extra else rng.permutation(of_class)[:wanted]
        drawn.append(np.concatenate([kept, rng.choice(of_class, extra)]))
    return rng.permutation(np.concatenate(drawn))
