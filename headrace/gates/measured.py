"""Finds among the metrics of a version the one that a field of a filter or gate means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headrace.filters import Field
from headrace.state.annotation_records import Metric

PREFIX = "metrics."
ENDS = ("lower", "upper", "rows")
_LEAST_DIGEST = 8
"""Hex digits that name data by the beginning of their digest."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The value of a field, and the metric that it is of: itself, an end of its interval, its rows."""

    value: float
    metric: Metric


class Measurements:
    """The metrics of a version by name and slice. `data_digest`: only those of these data."""

    def __init__(self, metrics: Iterable[Metric], data_digest: str = "") -> None:
        self._found: dict[tuple[str, str], list[Metric]] = {}
        for metric in metrics:
            if not data_digest or metric.data_digest == data_digest:
                self._found.setdefault((metric.name, metric.slice), []).append(metric)

    def all(self, field: Field) -> list[Measured]:
        """The values that a field has, of all data that it allows, the newest first.

        A field is `NAME`, or `NAME.lower`, `NAME.upper` or `NAME.rows` where no metric has the whole name;
        `metrics.` before it is left out. Without a slice it is of whole data. `[DATA]` is the name of the
        data, or the beginning of their digest.
        """
        name = field.name.removeprefix(PREFIX)
        whole = self._of(name, field)
        if whole:
            return [Measured(metric.value, metric) for metric in whole]
        stem, _, end = name.rpartition(".")
        if not stem or end not in ENDS:
            return []
        ends = ((getattr(metric, end), metric) for metric in self._of(stem, field))
        return [Measured(float(value), metric) for value, metric in ends if value is not None]

    def newest(self, field: Field) -> Measured | None:
        """The value of a field that was measured last, or None."""
        return next(iter(self.all(field)), None)

    def _of(self, name: str, field: Field) -> list[Metric]:
        found = self._found.get((name, field.slice), [])
        meant = [metric for metric in reversed(found) if _is_of(metric, field.data)]
        return sorted(meant, key=lambda metric: -metric.measured_at)


def _is_of(metric: Metric, data: str) -> bool:
    if not data or data == metric.data_name:
        return True
    return len(data) >= _LEAST_DIGEST and metric.data_digest.startswith(data.lower())
