"""Names of classes, learnt from the output of classes that a version has beside their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from headrace.lifecycle.explanation.features import shown
from headrace.lifecycle.predictors.predictor import Array

_KINDS = "OSU"


def learnt_names(answers: Mapping[str, Array], output: str) -> tuple[str, ...]:
    """By column of an output of weights, the text of rows whose largest weight is there; '' for none.

    Nothing where no output, or more than one, is of a text a row, or where texts and columns contradict.
    """
    weights = answers[output]
    beside = [
        array
        for array in answers.values()
        if array.dtype.kind in _KINDS and array.size == len(weights)
    ]
    if len(beside) != 1 or weights.ndim != 2 or weights.dtype.kind != "f" or weights.shape[1] < 2:
        return ()
    names = [""] * weights.shape[1]
    finite = np.isfinite(weights).all(axis=1)
    for place, value in zip(
        weights[finite].argmax(axis=1), beside[0].reshape(-1)[finite], strict=True
    ):
        if names[place] not in ("", shown(value)):
            return ()
        names[place] = shown(value)
    known = [name for name in names if name]
    return tuple(names) if len(set(known)) == len(known) else ()


def completed(names: Sequence[str], texts: Sequence[str]) -> tuple[str, ...]:
    """The names, with the only text that is none of them in the only place that has none."""
    left = sorted({*texts} - {*names})
    if len(left) != 1 or [*names].count("") != 1:
        return tuple(names)
    return tuple(name or left[0] for name in names)
