"""How good answers are now and how good they were before, as questions about quality are answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from headrace_monitor.domain.alerts.figures import QualityFigure
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.quality.figures import Figure, QualityFigures, QualityKey, QualityQuery
from headrace_monitor.domain.quality.quality_desk import QualityDesk
from headrace_monitor.domain.telemetry.report import NANOSECONDS

PRESENT_NS = 3600 * NANOSECONDS
BEFORE_NS = 24 * 3600 * NANOSECONDS
"""The last hour is compared with the day before it."""

FRESH_NS = 60 * NANOSECONDS
"""So often both are asked for: labels come late anyway."""

ENOUGH = 100
"""Rows that there have to be of the day before, to compare with it."""

ESTIMATED = "estimated_"


class LabelledFigures:
    """What is known of the quality of all versions and slices, at most a minute old."""

    def __init__(self, desk: QualityDesk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock
        self._known: Sequence[QualityFigure] = ()
        self._asked_ns = 0

    async def figures(self) -> Sequence[QualityFigure]:
        """All figures of the last hour, each with what it was in the day before."""
        moment = self._clock()
        if not self._desk.has_answers:
            return ()
        if not self._asked_ns or moment.steady_ns - self._asked_ns >= FRESH_NS:
            self._known = await self._asked(moment.now_ns)
            self._asked_ns = moment.steady_ns
        return self._known

    async def _asked(self, now_ns: int) -> Sequence[QualityFigure]:
        present = await self._desk.ask(QualityQuery(now_ns, PRESENT_NS), limited=False)
        before = await self._desk.ask(QualityQuery(now_ns - PRESENT_NS, BEFORE_NS), limited=False)
        return compared(present.figures, before.figures)


def compared(
    present: Iterable[QualityFigures], before: Iterable[QualityFigures]
) -> list[QualityFigure]:
    """Return the present figures with those of before beside them."""
    references = {
        (each.key, name): figure.value
        for each in before
        for name, figure in _named(each)
        if figure.count >= ENOUGH
    }
    return [
        _figure(each.key, name, figure, references.get((each.key, name)))
        for each in present
        for name, figure in _named(each)
    ]


def _named(figures: QualityFigures) -> Iterator[tuple[str, Figure]]:
    for each in figures.figures:
        if not each.of:
            yield each.name, each
    for each in figures.estimates:
        if not each.of:
            yield f"{ESTIMATED}{each.name}", each


def _figure(key: QualityKey, name: str, figure: Figure, reference: float | None) -> QualityFigure:
    return QualityFigure(
        key.model,
        key.version,
        key.slice,
        name,
        figure.value,
        figure.low,
        figure.high,
        figure.count,
        reference,
    )
