"""What of an explanation is shown first, and how it is headed."""

from __future__ import annotations

import numpy as np

from headrace.lifecycle.explanation.attributions import Attribution, Method
from headrace.lifecycle.explanation.explanation import Explanation

_FIRST = (Method.SHAPLEY, Method.KERNEL_SHAP)


def leading(explanation: Explanation) -> Attribution:
    """The attribution by which features are ordered: Shapley values, else the first."""
    by_method = {each.method: each for each in explanation.attributions}
    return next(
        (by_method[each] for each in _FIRST if each in by_method), explanation.attributions[0]
    )


def largest(explanation: Explanation, count: int) -> list[int]:
    """The places of the features of most weight, the largest first."""
    order = np.argsort(-np.abs(leading(explanation).values), kind="stable")
    return [int(place) for place in order[:count]]


def title_of(explanation: Explanation) -> str:
    """What was explained, and its numbers."""
    where = f"{explanation.model}/{explanation.version}: " if explanation.model else ""
    return (
        f"{where}{explanation.target.name} = {explanation.value:.4g}, of the baseline "
        f"{explanation.baseline_value:.4g}"
    )
