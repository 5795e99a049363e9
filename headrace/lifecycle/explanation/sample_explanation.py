"""What a model hangs on over many rows: each row's attributions, importance, partial dependence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Importance:
    """How much worse the answers are where a feature's values are shuffled among rows."""

    loss: float
    """The loss with the feature shuffled, less that without: 0 of one that nothing hangs on."""
    deviation: float
    """The standard deviation over shuffles."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The mean answer over rows in which one feature has a value: of each class that is told of."""

    feature: str
    values: tuple[float | str, ...]
    classes: tuple[str, ...]
    answers: tuple[tuple[float, ...], ...]
    """By value, by class."""


@dataclass(frozen=True, slots=True)
class SampleExplanation:
    """Which features answers hang on, over a sample of rows."""

    output: str
    scale: str
    method: str
    baseline: str
    explained_rows: int
    features: tuple[str, ...]
    mean_amounts: tuple[float, ...]
    """The mean amount of each feature's attribution to the answers of the rows' own predicted classes."""
    mean_values: tuple[float, ...]
    """The mean with signs: near 0 where a feature counts for some rows and against others."""
    by_class: Mapping[str, tuple[float, ...]]
    """The mean amounts over the rows of each predicted class."""
    rows_by_class: Mapping[str, int]
    loss: str = ""
    """What importance is of: `log loss`, `error rate`, `squared error`; '' without a target."""
    loss_value: float | None = None
    importances: tuple[Importance, ...] = ()
    curves: tuple[Curve, ...] = ()
    planned_rows: int = 0
    rows: int = 0
    requests: int = 0
    notes: tuple[str, ...] = ()
    model: str = ""
    version: int = 0
    data: str = ""
    data_digest: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    def order(self) -> list[int]:
        """The places of the features, those of the largest mean amount first."""
        return sorted(range(len(self.features)), key=lambda place: -self.mean_amounts[place])

    def document(self) -> dict[str, Any]:
        """It as JSON has it."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "features": [self._feature(place) for place in self.order()],
            "rows_by_class": dict(self.rows_by_class),
            "curves": [
                {
                    "feature": each.feature,
                    "values": list(each.values),
                    "classes": list(each.classes),
                    "answers": [list(line) for line in each.answers],
                }
                for each in self.curves
            ],
            "notes": list(self.notes),
        }

    def _feature(self, place: int) -> dict[str, Any]:
        importance = self.importances[place] if self.importances else None
        return {
            "name": self.features[place],
            "mean_amount": self.mean_amounts[place],
            "mean_value": self.mean_values[place],
            "by_class": {name: values[place] for name, values in self.by_class.items()},
            "loss_when_shuffled": importance.loss if importance else None,
            "loss_deviation": importance.deviation if importance else None,
        }


_PLAIN = (
    *("model", "version", "data", "data_digest", "output", "scale", "method", "baseline"),
    *("explained_rows", "loss", "loss_value", "planned_rows", "rows", "requests"),
)
