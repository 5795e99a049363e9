"""Attributions: how much each feature adds to an answer, as one method tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from headrace.lifecycle.explanation.asking import Asker


class Method(StrEnum):
    """The ways to attribute an answer to features."""

    OCCLUSION = "occlusion"
    """The loss of the answer where one feature is the baseline's, all others the row's."""
    LEAVE_ONE_IN = "leave-one-in"
    """The gain where one feature is the row's, all others the baseline's."""
    INTEGRATED_GRADIENTS = "integrated-gradients"
    """The gradient along the straight way from the baseline, by finite differences."""
    SHAPLEY = "shapley"
    """Shapley values: exact of few features, else estimated over random orders."""
    KERNEL_SHAP = "kernel-shap"
    """Shapley values estimated by a weighted regression, by the package shap."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """What one method says: a value for each feature, in the answer's own unit."""

    method: Method
    values: tuple[float, ...]
    standard_errors: tuple[float, ...] = ()
    """Of methods that sample; () of those that do not."""
    gap: float | None = None
    """The answer less the baseline's less the sum of all values; None of methods that do not add up."""
    stability: float | None = None
    """The rank correlation between the halves of what was sampled; None where nothing was."""
    rows: int = 0
    """Asked for it; what another method had asked before is not asked again."""
    requests: int = 0
    exact: bool = False
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Cost:
    """What was asked while counting."""

    rows: int = 0
    requests: int = 0
    _before: tuple[int, int] = field(default=(0, 0))


@contextmanager
def counting(asker: Asker) -> Iterator[Cost]:
    """Count what is asked while inside; the cost is complete behind it."""
    cost, rows, requests = Cost(), asker.rows, asker.requests
    yield cost
    cost.rows, cost.requests = asker.rows - rows, asker.requests - requests
