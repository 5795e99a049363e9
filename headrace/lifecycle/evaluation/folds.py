"""Parts rows into those that are trained on and those that are held back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.evaluation.measures.measure import Places
from headrace.lifecycle.evaluation.tasks import impossible
from headrace.lifecycle.extras import from_extra

Values = Sequence[Any] | npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Split:
    """Places of rows to train on, and of rows to measure with; no row is in both."""

    training: Places = field(repr=False)
    validation: Places = field(repr=False)
    name: str = ""


def folds(
    rows: int,
    count: int = 5,
    *,
    classes: Values | None = None,
    groups: Values | None = None,
    seed: int = 0,
) -> tuple[Split, ...]:
    """Parts in which each row is held back once.

    With `classes` each part has about as many of each as all rows; rows of one of `groups` are never on
    both sides. Raises InvalidArgument (EVALUATION_IMPOSSIBLE) for too few rows, rows of a class, groups.
    """
    selection = from_extra("sklearn.model_selection", "cross-validation")
    _check(rows, count, classes, groups)
    if groups is not None and classes is not None:
        splitter = selection.StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    elif groups is not None:
        splitter = selection.GroupKFold(count, shuffle=True, random_state=seed)
    elif classes is not None:
        splitter = selection.StratifiedKFold(count, shuffle=True, random_state=seed)
    else:
        splitter = selection.KFold(count, shuffle=True, random_state=seed)
    parts = splitter.split(np.zeros(rows), classes, groups)
    return tuple(
        Split(training, validation, f"fold {place}")
        for place, (training, validation) in enumerate(parts, 1)
    )


def holdout(
    rows: int,
    share: float = 0.2,
    *,
    classes: Values | None = None,
    groups: Values | None = None,
    seed: int = 0,
) -> Split:
    """One part that holds so large a share of the rows back, or of `groups`, else as `folds`.

    With both `classes` and `groups` the share is one of two, three, four … equal parts.
    """
    if not 0 < share < 1:
        raise impossible(f"a share of {share} cannot be held back: it is between 0 and 1")
    _check(rows, 2, classes, groups)
    selection = from_extra("sklearn.model_selection", "cross-validation")
    if groups is not None and classes is not None:
        first = folds(rows, max(2, round(1 / share)), classes=classes, groups=groups, seed=seed)[0]
        return Split(first.training, first.validation, "holdout")
    if groups is not None:
        splitter = selection.GroupShuffleSplit
    else:
        splitter = selection.ShuffleSplit if classes is None else selection.StratifiedShuffleSplit
    parts = splitter(1, test_size=share, random_state=seed).split(np.zeros(rows), classes, groups)
    training, validation = next(parts)
    return Split(training, validation, "holdout")


def by_time(times: Values, count: int = 5, *, gap: int = 0) -> tuple[Split, ...]:
    """Parts that train on what was before and are measured with what came next, as it will be served.

    Rows of the same time are never on both sides; `gap` rows before each validation are left out, where
    truth comes late. Raises InvalidArgument (EVALUATION_IMPOSSIBLE) for fewer times than parts.
    """
    order = np.argsort(np.asarray(times), kind="stable")
    moments, starts = np.unique(np.asarray(times)[order], return_index=True)
    if len(moments) <= count:
        raise impossible(f"there are {len(moments)} different times, and {count} parts take more")
    wanted = [len(order) * (place + 1) // (count + 1) for place in range(count)]
    cuts = [int(starts[np.searchsorted(starts, place)]) for place in wanted if place <= starts[-1]]
    ends = [*dict.fromkeys(cuts), len(order)]
    found: list[Split] = []
    for begin, end in pairwise(ends):
        training = order[: max(begin - gap, 0)]
        if len(training) and end > begin:
            found.append(Split(training, order[begin:end], f"part {len(found) + 1}"))
    return tuple(found)


def _check(rows: int, count: int, classes: Values | None, groups: Values | None) -> None:
    if count < 2 or rows < count:
        raise impossible(f"{rows} rows cannot be parted into {count} folds")
    if groups is not None:
        there = len(np.unique(np.asarray(groups)))
        if there < count:
            raise impossible(f"there are {there} groups, and {count} folds take as many")
    if classes is not None and groups is None:
        names, counts = np.unique(np.asarray(classes).astype(str), return_counts=True)
        if counts.min() < count:
            name = str(names[counts.argmin()])
            raise impossible(
                f"class {name!r} has {counts.min()} rows, and each of {count} folds takes one"
            )
