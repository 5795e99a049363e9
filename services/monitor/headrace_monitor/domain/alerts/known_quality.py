"""The figures of quality that rules look at: of the last day, beside those of the days before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headrace_monitor.domain.alerts.figures import WatchedFigure
from headrace_monitor.domain.quality.figures import (
    ACCURACY,
    F1,
    MACRO,
    PRECISION,
    RECALL,
    Figure,
    QualityFigures,
)
from headrace_monitor.domain.quality.latest import LatestQuality

_ESTIMATED_ACCURACY = "estimated_accuracy"
_MEANS = {f"{name}{MACRO}": name for name in (PRECISION, RECALL, F1)}
"""A rule on precision, recall or F1 looks at its mean over classes."""

MIN_LABELS_BEFORE = 100
"""Of the days before; with fewer they are no reference."""


class QualityOfLastDay:
    """How good the answers of the last day are."""

    def __init__(self, latest: LatestQuality) -> None:
        self._latest = latest

    async def figures(self) -> Sequence[WatchedFigure] | None:
        """Those that are measured, and the estimated accuracy; None before they were made first."""
        last_day = self._latest.last_day
        if last_day is None:
            return None
        return [
            figure
            for each in last_day.figures
            for figure in _figures(each, last_day.before.get(each.key))
        ]


def _figures(now: QualityFigures, before: QualityFigures | None) -> Iterator[WatchedFigure]:
    for each in now.figures:
        measure = _MEANS.get(each.name, each.name)
        if each.name in (PRECISION, RECALL, F1):  # of one class
            continue
        earlier = before.figure(each.name, each.of) if before is not None else None
        yield _figure(now, measure, each, earlier)
    estimate = now.estimate(ACCURACY)
    if estimate is not None:
        earlier = before.figure(ACCURACY) if before is not None else None
        yield _figure(now, _ESTIMATED_ACCURACY, estimate, earlier)


def _figure(
    now: QualityFigures, measure: str, figure: Figure, earlier: Figure | None
) -> WatchedFigure:
    is_reference = earlier is not None and earlier.count >= MIN_LABELS_BEFORE
    return WatchedFigure(
        now.key.model,
        now.key.version,
        now.key.slice,
        measure,
        figure.value,
        figure.low,
        figure.high,
        figure.count,
        earlier.value if is_reference and earlier is not None else None,
    )
