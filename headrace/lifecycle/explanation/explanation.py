"""The explanation of one answer: what was explained, against what, what each method says, and its cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from headrace.lifecycle.explanation.agreement import Agreement
from headrace.lifecycle.explanation.attributions import Attribution
from headrace.lifecycle.explanation.features import Feature
from headrace.lifecycle.explanation.image_features import ImageGrid
from headrace.lifecycle.explanation.targets import Target


@dataclass(frozen=True, slots=True)
class PlannedCost:
    """What methods will ask at most, told before anything but the row itself is asked."""

    rows: int
    rows_per_request: int
    by_method: Mapping[str, int]
    calls: Mapping[str, int] = field(default_factory=dict)
    """Into how many parts each method's rows go, which share no request; 1 where nothing is said."""

    @property
    def requests(self) -> int:
        """The requests, about: a row each where the version does not batch."""
        return sum(
            (calls := self.calls.get(method, 1)) * ceil(rows / calls / self.rows_per_request)
            for method, rows in self.by_method.items()
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an answer is what it is. Values are in the unit of the answer."""

    target: Target
    value: float
    """The answer that is explained."""
    baseline_value: float
    """The answer to the baseline (the mean over its rows)."""
    baseline: str
    features: tuple[Feature, ...]
    attributions: tuple[Attribution, ...]
    agreements: tuple[Agreement, ...]
    planned: PlannedCost
    rows: int
    """Rows that were asked, all methods together."""
    requests: int
    notes: tuple[str, ...] = ()
    grid: ImageGrid | None = None
    """How the features lie in an image; None of other inputs."""
    text: str | None = None
    """The text that the features are the tokens of; None of other inputs."""
    row: Mapping[str, Any] = field(default_factory=dict, repr=False)
    model: str = ""
    version: int = 0

    def attribution(self, method: str) -> Attribution:
        """The attribution by a method. Raises KeyError for one that was not taken."""
        return next(each for each in self.attributions if each.method == method)

    def document(self) -> dict[str, Any]:
        """It as JSON has it."""
        return {
            "model": self.model,
            "version": self.version,
            "output": self.target.output,
            "column": self.target.column,
            "label": self.target.label,
            "scale": self.target.scale,
            "value": self.value,
            "baseline": self.baseline,
            "baseline_value": self.baseline_value,
            "features": [_feature(each) for each in self.features],
            "methods": {each.method.value: _attribution(each) for each in self.attributions},
            "agreement": [_agreement(each) for each in self.agreements],
            "rows_planned": self.planned.rows,
            "rows_asked": self.rows,
            "requests": self.requests,
            "notes": list(self.notes),
        }


def _feature(feature: Feature) -> dict[str, Any]:
    return {"name": feature.name, "input": feature.tensor, "value": feature.value}


def _attribution(one: Attribution) -> dict[str, Any]:
    return {
        "values": list(one.values),
        "standard_errors": list(one.standard_errors),
        "gap": one.gap,
        "stability": one.stability,
        "exact": one.exact,
        "rows_asked": one.rows,
        "requests": one.requests,
        "notes": list(one.notes),
    }


def _agreement(one: Agreement) -> dict[str, Any]:
    return {
        "methods": [str(one.one), str(one.other)],
        "rank_correlation": one.rank_correlation,
        "top": one.top,
        "top_overlap": one.top_overlap,
        "same_sign": one.same_sign,
    }
