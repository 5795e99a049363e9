"""What is asked of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headrace.lifecycle.evaluation.resampling import RESAMPLES
from headrace.lifecycle.evaluation.tasks import Task


@dataclass(frozen=True, slots=True)
class Question:
    """Which columns are the truth, which are inputs, and what is to be measured."""

    target: tuple[str, ...]
    """Several, for labels of which any number may hold."""
    inputs: Mapping[str, Sequence[str]] | None = None
    """The columns of inputs; None for those that fit by their names."""
    output: str = ""
    """The output that answers, or `NAME[3]` for a column of one; '' for the first that can."""
    task: Task | None = None
    classes: tuple[str, ...] = ()
    """What the columns of the output are called, where neither the version nor a number says it."""
    positive: str = ""
    """Of two classes, the one that is looked for; '' for the second."""
    group_by: str = ""
    """A column of those whose rows belong together: they are ranked, or resampled, together."""
    slice_by: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    """Columns that are no inputs."""
    at: int = 10
    """Of rankings: so many of the first are looked at."""
    seed: int = 0
    resamples: int = field(default=RESAMPLES)
