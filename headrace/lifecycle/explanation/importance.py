"""Permutation importance and partial dependence: what answers over many rows hang on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.explanation.class_names import completed
from headrace.lifecycle.explanation.features import Feature, shown
from headrace.lifecycle.explanation.refusals import invalid
from headrace.lifecycle.explanation.sample_explanation import Curve, Importance
from headrace.lifecycle.predictors import Predictor
from headrace.lifecycle.predictors.predictor import Array, Tensors, rows_of

REPEATS = 3
CURVE_ROWS = 50
CURVE_VALUES = 10
_LEAST = 1e-7
_BOOLEANS = {"false": "0", "true": "1"}

Loss = Callable[[Array], float]
"""From the output's rows to the mean loss."""


def loss_of(
    target: Array, answers: Array, scale: str, labels: Sequence[str] = ()
) -> tuple[str, Loss]:
    """The loss that suits an output, and its name.

    Raises InvalidArgument (EXPLANATION_INVALID) for a target that fits no answer.
    """
    flat = answers.reshape(len(answers), -1)
    if flat.shape[1] == 1 and scale != "probability":
        numbers = _numbers(target)
        return "squared error", lambda rows: float(np.mean((_flat(rows)[:, 0] - numbers) ** 2))
    if flat.shape[1] == 1:
        truth = _classes(target, 2, labels)
        return "log loss", lambda rows: _log_loss(np.c_[1 - _flat(rows), _flat(rows)], truth)
    truth = _classes(target, flat.shape[1], labels)
    if scale == "probability":
        return "log loss", lambda rows: _log_loss(_flat(rows), truth)
    return "error rate", lambda rows: float(np.mean(_flat(rows).argmax(axis=1) != truth))


def _flat(rows: Array) -> npt.NDArray[np.float64]:
    return rows.reshape(len(rows), -1).astype(np.float64)


def _log_loss(shares: npt.NDArray[np.float64], truth: npt.NDArray[np.intp]) -> float:
    chosen = np.clip(shares[np.arange(len(truth)), truth], _LEAST, 1)
    return float(-np.log(chosen).mean())


def _numbers(target: Array) -> npt.NDArray[np.float64]:
    try:
        return target.reshape(-1).astype(np.float64)
    except (TypeError, ValueError):
        raise invalid("the target has texts, and the output is a number") from None


def _classes(target: Array, count: int, labels: Sequence[str]) -> npt.NDArray[np.intp]:
    """Classes as their places: numbers, or labels where the version has some."""
    texts = [shown(value) for value in target.reshape(-1).tolist()]
    labels = completed(labels, texts)
    if not labels and count == 2:
        texts = [_BOOLEANS.get(text.lower(), text) for text in texts]
    if labels and set(texts) <= {*labels}:
        return np.array([list(labels).index(text) for text in texts], np.intp)
    try:
        places = np.array([float(text) for text in texts])
    except ValueError:
        raise invalid(
            f"the target has {sorted({*texts} - {*labels})[:5]}, which are neither places of classes nor "
            "labels"
            + (f"; known are {[each for each in labels if each][:20]}" if any(labels) else "")
        ) from None
    if np.any(places != np.rint(places)) or places.min() < 0 or places.max() >= count:
        raise invalid(f"the target has other classes than 0 to {count - 1}, which the output has")
    return places.astype(np.intp)


async def importances(
    predictor: Predictor,
    sample: Tensors,
    features: Sequence[Feature],
    output: str,
    loss: Loss,
    repeats: int,
    seed: int,
) -> list[Importance]:
    """Ask for the rows with each feature shuffled, `repeats` times."""
    generator = np.random.default_rng(seed)
    whole = loss((await predictor.predict(sample))[output])
    found = []
    for feature in features:
        losses = []
        for _ in range(repeats):
            order = generator.permutation(rows_of(sample))
            answers = await predictor.predict(_with(sample, feature, _part(sample, feature)[order]))
            losses.append(loss(answers[output]) - whole)
        found.append(Importance(float(np.mean(losses)), float(np.std(losses))))
    return found


async def curve(
    predictor: Predictor,
    sample: Tensors,
    feature: Feature,
    output: str,
    classes: Sequence[int],
    names: Sequence[str],
) -> Curve:
    """Ask for some rows with each of some values of the feature: quantiles, or its commonest categories."""
    places = np.unique(np.linspace(0, rows_of(sample) - 1, CURVE_ROWS).astype(int))
    some = {name: array[places] for name, array in sample.items()}
    values = _values(_part(sample, feature)[:, 0])
    answers = []
    for value in values:
        column = np.full((len(places), 1), value, dtype=sample[feature.tensor].dtype)
        rows = (await predictor.predict(_with(some, feature, column)))[output]
        answers.append(tuple(_flat(rows)[:, list(classes)].mean(axis=0).tolist()))
    told = [shown(value) if isinstance(value, bytes | str) else float(value) for value in values]
    return Curve(feature.name, tuple(told), tuple(names), tuple(answers))


def _values(column: Array) -> list[Any]:
    values, counts = np.unique(column, return_counts=True)
    if len(values) <= CURVE_VALUES:
        return list(values)
    if column.dtype.kind in "fV":
        inner = column.astype(np.float64)
        return list(np.unique(np.nanquantile(inner, np.linspace(0.02, 0.98, CURVE_VALUES))))
    return list(values[np.argsort(-counts, kind="stable")[:CURVE_VALUES]])


def _part(sample: Tensors, feature: Feature) -> Array:
    array = sample[feature.tensor]
    return array.reshape(len(array), -1)[:, list(feature.places)]


def _with(sample: Tensors, feature: Feature, part: Array) -> dict[str, Array]:
    array = sample[feature.tensor]
    flat = array.reshape(len(array), -1).copy()
    flat[:, list(feature.places)] = part
    return {**sample, feature.tensor: flat.reshape(array.shape)}
