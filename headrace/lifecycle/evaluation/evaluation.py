"""What an evaluation found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from headrace.lifecycle.evaluation.data_checks import DataChecks
from headrace.lifecycle.evaluation.judging import Judged
from headrace.lifecycle.evaluation.resampling import Resampling
from headrace.lifecycle.evaluation.tasks import Task
from headrace.state.annotation_records import Metric

PRIMARY: Mapping[Task, str] = {
    Task.BINARY: "accuracy",
    Task.MULTICLASS: "accuracy",
    Task.MULTILABEL: "f1_micro",
    Task.REGRESSION: "rmse",
    Task.RANKING: "ndcg",
    Task.GENERATION: "exact_match",
}
"""The metric by which versions are compared unless another is named; of rankings its beginning."""
FEW_ROWS = 30
"""A slice of fewer rows says little."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a version's answers to some data are, with 95 % intervals."""

    model: str
    version: int
    """0 for what is no version of a registry."""
    task: Task
    how: str
    """What was read from which output."""
    target: str
    data_name: str
    data_digest: str
    rows: int
    """Those that have a truth."""
    checks: DataChecks
    metrics: tuple[Metric, ...]
    """Of all rows first, then of slices."""
    classes: tuple[str, ...] = ()
    undefined: Mapping[str, str] = field(default_factory=dict)
    """Metrics that have no value here, and why."""
    notes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    """By the true class, then by the answered one; the last column counts rows without an answer."""
    examples: tuple[Mapping[str, Any], ...] = ()
    """Of texts: some that were answered, beside the reference."""
    requests: int = 0
    seconds: float = 0.0
    seed: int = 0
    resamples: int = 0
    judged: Judged | None = field(default=None, repr=False, compare=False)
    resampling: Resampling | None = field(default=None, repr=False, compare=False)

    @property
    def primary(self) -> str:
        """The name of the metric by which versions are compared unless another is named."""
        wanted = PRIMARY[self.task]
        return next((each.name for each in self.metrics if each.name.startswith(wanted)), wanted)

    def metric(self, name: str, slice: str = "") -> Metric | None:  # noqa: A002  # as metrics call it
        """A metric of all rows, or of a slice; None where it has no value."""
        return next(
            (each for each in self.metrics if (each.name, each.slice) == (name, slice)), None
        )

    @property
    def slices(self) -> tuple[str, ...]:
        """The slices, in their order."""
        return tuple(dict.fromkeys(each.slice for each in self.metrics if each.slice))

    def document(self) -> dict[str, Any]:
        """All of it as JSON takes it."""
        from dataclasses import asdict

        left_out = ("judged", "resampling", "checks", "metrics")
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        for name in left_out:
            del plain[name]
        return {
            **plain,
            "checks": asdict(self.checks),
            "metrics": [asdict(each) for each in self.metrics],
        }
