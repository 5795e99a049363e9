"""Compares two versions by their answers to the same rows: the difference, with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.gates import is_smaller_better
from headrace.lifecycle.evaluation.evaluation import Evaluation
from headrace.lifecycle.evaluation.intervals import of_draws
from headrace.lifecycle.evaluation.tasks import impossible


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of a version beside that of another."""

    metric: str
    value: float
    other: float
    other_name: str
    """As `version 3`."""
    lower: float | None = None
    """Of the difference, value less other: 95 % of resamples of the same rows are between."""
    upper: float | None = None

    @property
    def difference(self) -> float:
        """By how much the value is larger."""
        return self.value - self.other

    def __str__(self) -> str:
        within = ""
        if self.lower is not None and self.upper is not None:
            within = f" ({self.lower:+.4g} to {self.upper:+.4g})"
        return (
            f"{self.metric} {self.value:.4g}, of {self.other_name} {self.other:.4g}: "
            f"{self.difference:+.4g}{within}, {self._verdict()}"
        )

    def _verdict(self) -> str:
        if self.lower is None or self.upper is None:
            return "measured apart"
        if self.lower <= 0 <= self.upper:
            return "which may be chance"
        is_better = (self.lower > 0) != is_smaller_better(self.metric)
        return "better" if is_better else "worse"


def differences(
    first: Evaluation, second: Evaluation, metrics: tuple[str, ...]
) -> tuple[Difference, ...]:
    """The differences of two evaluations of the same rows, by resamples that both share.

    Raises InvalidArgument (EVALUATION_IMPOSSIBLE) for other rows, other tasks, or a metric without a value.
    """
    if (first.data_digest, first.rows, first.target) != (
        second.data_digest,
        second.rows,
        second.target,
    ):
        raise impossible("the evaluations are of other rows, and cannot be compared row by row")
    if first.task is not second.task:
        raise impossible(
            f"version {first.version} answers for task '{first.task}', version {second.version} for "
            f"'{second.task}': --task says for which both are evaluated"
        )
    draws = _paired(first, second)
    found = []
    for name in metrics:
        ours, theirs = first.metric(name), second.metric(name)
        if ours is None or theirs is None:
            raise impossible(f"{name!r} has no value of both versions; {_known(first)}")
        interval = of_draws(draws[name]) if name in draws else None
        low, high = interval or (None, None)
        who = f"version {second.version}"
        found.append(Difference(name, ours.value, theirs.value, who, low, high))
    return tuple(found)


def _paired(first: Evaluation, second: Evaluation) -> dict[str, np.typing.NDArray[np.float64]]:
    """Draws of differences: each resample has the same rows of both."""
    if first.judged is None or second.judged is None or first.resampling is None:
        return {}
    blocks = []
    for weights in first.resampling.blocks():
        ours = first.judged.measure.values(weights)
        theirs = second.judged.measure.values(weights)
        blocks.append({name: ours[name] - theirs[name] for name in ours if name in theirs})
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _known(evaluation: Evaluation) -> str:
    return "there are " + ", ".join(each.name for each in evaluation.metrics if not each.slice)
