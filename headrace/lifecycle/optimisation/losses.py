"""What is lost by a candidate: by a metric where the truth is known, by its parent's answers elsewhere."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headrace.errors import InvalidArgument
from headrace.lifecycle.predictors.predictor import Array

_RESAMPLES = 1000
_TINY = 1e-12


class MetricName(enum.StrEnum):
    """Metrics by which candidates are judged: each is an average over rows."""

    ACCURACY = "accuracy"
    """The share of rows whose class is right."""
    MAE = "mae"
    MSE = "mse"


@dataclass(frozen=True, slots=True)
class Loss:
    """What is lost, with an interval that holds it at 95 % (the same rows resampled for both)."""

    measure: str
    """In words: of accuracy the difference, of errors the growth beside the parent's."""
    value: float
    lower: float
    upper: float
    parent: float | None = None
    """The metric of the parent; None without a truth."""
    candidate: float | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """The true values of rows, and the metric that compares answers with them."""

    targets: Array
    metric: MetricName
    output: str = ""
    """Which output is the answer; '' for the first that can be."""
    labels: tuple[str, ...] = ()
    """Names of classes by their place."""

    def scores(self, outputs: Mapping[str, Array]) -> Array:
        """What each row contributes to the metric. Raises InvalidArgument (ROWS_INVALID)."""
        answers = self._answers(outputs)
        if self.metric is MetricName.ACCURACY:
            return np.asarray(self._texts(answers) == _texts(self.targets), dtype=np.float64)
        gap = np.abs(_numbers(answers) - _numbers(self.targets))
        return np.asarray(gap if self.metric is MetricName.MAE else gap**2)

    def _answers(self, outputs: Mapping[str, Array]) -> Array:
        if self.output and self.output not in outputs:
            raise _invalid(f"there is no output {self.output!r}; there are {', '.join(outputs)}")
        named = {self.output: outputs[self.output]} if self.output else outputs
        width = {name: int(np.prod(each.shape[1:])) for name, each in named.items()}
        if self.metric is not MetricName.ACCURACY:
            found = [each for name, each in named.items() if width[name] == 1]
        else:
            found = [each for name, each in named.items() if _is_class(each, width[name])]
            found += [each for name, each in named.items() if each.ndim == 2 and width[name] > 1]
            found += [each for name, each in named.items() if width[name] == 1]
        if not found:
            shapes = ", ".join(f"{name} {list(each.shape)}" for name, each in named.items())
            raise _invalid(f"no output is an answer that {self.metric} can judge: {shapes}")
        return found[0]

    def _texts(self, answers: Array) -> Array:
        flat = answers.reshape(len(answers), -1)
        if flat.shape[1] > 1:
            places = flat.argmax(axis=1)
        elif flat.dtype.kind == "f":
            places = (flat[:, 0] > 0.5).astype(np.int64)
        else:
            places = flat[:, 0]
        if self.labels and places.dtype.kind in "iu" and not _are_numbers(self.targets):
            names = dict(enumerate(self.labels))
            return np.array([names.get(int(place), str(place)) for place in places], dtype=object)
        return _texts(places)


def loss_by_truth(metric: MetricName, before: Array, after: Array) -> Loss:
    """The loss by what rows contribute to a metric: of accuracy the difference, of errors the growth."""
    parent, candidate = float(before.mean()), float(after.mean())
    if metric is MetricName.ACCURACY:
        value, lower, upper = _mean_with_interval(before - after)
        return Loss("accuracy lost", value, lower, upper, parent, candidate)
    scale = max(parent, _TINY)
    value, lower, upper = _mean_with_interval((after - before) / scale)
    return Loss(f"{metric} grown, beside the parent's", value, lower, upper, parent, candidate)


def loss_by_parent(same: Array | None, relative: Array) -> Loss:
    """The loss where no truth is known: rows that get another class, else the relative difference."""
    if same is not None:
        return Loss("rows with another class", *_mean_with_interval(1.0 - same.astype(np.float64)))
    return Loss("difference, beside the spread of values", *_mean_with_interval(relative))


def _mean_with_interval(values: Array) -> tuple[float, float, float]:
    mean = float(values.mean())
    if not np.isfinite(mean):
        return np.inf, np.inf, np.inf
    random = np.random.default_rng(0)
    count = len(values)
    draws = np.array([values[random.integers(0, count, count)].mean() for _ in range(_RESAMPLES)])
    lower, upper = np.quantile(draws, (0.025, 0.975))
    return mean, min(mean, float(lower)), max(mean, float(upper))


def _is_class(array: Array, width: int) -> bool:
    return width == 1 and array.dtype.kind in "iubOSU"


def _texts(values: Array) -> Array:
    return np.array([_text(value) for value in values.reshape(-1).tolist()], dtype=object)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    try:
        return str(int(float(text))) if float(text).is_integer() else text
    except (ValueError, OverflowError):
        return text


def _are_numbers(values: Array) -> bool:
    try:
        _numbers(values)
    except InvalidArgument:
        return False
    return True


def _numbers(values: Array) -> Array:
    try:
        return values.reshape(-1).astype(np.float64)
    except (TypeError, ValueError):
        raise _invalid("the target is of texts, and the metric takes numbers") from None


def _invalid(what: str) -> InvalidArgument:
    return InvalidArgument("ROWS_INVALID", what)
