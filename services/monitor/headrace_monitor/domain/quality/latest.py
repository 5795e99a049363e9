"""The figures of the last day, kept fresh for whoever looks at them in any thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.quality.estimates import calibrate
from headrace_monitor.domain.quality.figures import QualityFigures, QualityKey, QualityQuery
from headrace_monitor.domain.quality.quality_book import Totals
from headrace_monitor.domain.quality.quality_desk import DEFAULT_WINDOW_NS, QualityDesk
from headrace_monitor.domain.quality.questions import Gathered, measured
from headrace_monitor.domain.quality.tallies import Tally
from headrace_monitor.domain.telemetry.report import NANOSECONDS

logger = logging.getLogger(__name__)

FRESH_SECONDS = 15.0
"""How often figures are made anew, of versions and slices of which something was counted."""

PAUSE_SECONDS = 2.0
"""How soon they are made anew after labels came."""

ENOUGH = 100
"""Labels; where the last day has fewer, the last week is looked at, since labels come late."""

_DAY_NS = DEFAULT_WINDOW_NS
_WEEK_NS = 7 * _DAY_NS
_BEFORE_NS = 30 * _DAY_NS

_LOOK_EVERY_NS = 600 * NANOSECONDS
"""How often figures of more than the last day are made anew."""

_LOOK_AFTER_LABELS_NS = 60 * NANOSECONDS
"""The same where labels came."""

_ByKey = Mapping[QualityKey, QualityFigures]


@dataclass(frozen=True, slots=True)
class LastDay:
    """How good the answers of the last day were, by version and slice, and those of the 30 days before.

    Where fewer than 100 labels are of the last day, all that is measured is of the last week.
    """

    figures: Sequence[QualityFigures]
    totals: Totals
    before: _ByKey = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Known:
    tally: Tally
    judged: Mapping[int, tuple[int, int]]
    figures: QualityFigures


class LatestQuality:
    """Makes figures every 15 s, of what has changed; `last_day` is None before the first."""

    def __init__(self, desk: QualityDesk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock
        self._known: dict[QualityKey, _Known] = {}
        self._week: _ByKey = {}
        self._before_day: _ByKey = {}
        self._before_week: _ByKey = {}
        self._looked_ns = 0
        self.last_day: LastDay | None = None

    async def run(self) -> None:
        """Keep them fresh, for ever."""
        while True:
            has_labels = self._desk.labelled.is_set()
            self._desk.labelled.clear()
            try:
                if self._desk.has_answers:
                    await self._look_back(_LOOK_AFTER_LABELS_NS if has_labels else _LOOK_EVERY_NS)
                    await self.refresh()
            except Exception:  # figures that cannot be made end no monitor
                logger.exception("the newest figures of quality cannot be made")
            with suppress(TimeoutError):
                async with asyncio.timeout(FRESH_SECONDS):
                    await self._desk.labelled.wait()
            await asyncio.sleep(PAUSE_SECONDS)

    async def refresh(self) -> None:
        """Make figures of what has changed since the last time."""
        gathered, totals = await self._desk.gather(QualityQuery(_DAY_NS), limited=False)
        known: dict[QualityKey, _Known] = {}
        for one in gathered:
            known[one.key] = await self._made(one)
        self._known = known
        figures, before = [], {}
        for key in {**self._week, **known}:
            day = known[key].figures if key in known else None
            chosen, of_before = self._chosen(key, day)
            figures.append(chosen)
            if key in of_before:
                before[key] = of_before[key]
        self.last_day = LastDay(figures, totals, before)

    def _chosen(self, key: QualityKey, day: QualityFigures | None) -> tuple[QualityFigures, _ByKey]:
        """The figures of a version and slice that are looked at, and those of before that go with them."""
        week = self._week.get(key)
        if day is None:
            assert week is not None
            return week, self._before_week
        if week is not None and day.labelled < min(ENOUGH, week.labelled):
            return replace(week, estimates=day.estimates), self._before_week
        return day, self._before_day

    async def _made(self, one: Gathered) -> _Known:
        old = self._known.get(one.key)
        if old is not None and (old.tally, old.judged) == (one.tally, one.learnt.judged):
            return old
        return await self._desk.work(lambda: _made(one))

    async def _look_back(self, every_ns: int) -> None:
        now_ns = self._clock().now_ns
        if 0 <= now_ns - self._looked_ns < every_ns:
            return
        self._looked_ns = now_ns
        self._week = await self._all(_WEEK_NS, now_ns)
        self._before_day = await self._all(_BEFORE_NS, now_ns - _DAY_NS)
        self._before_week = await self._all(_BEFORE_NS, now_ns - _WEEK_NS)

    async def _all(self, window_ns: int, end_ns: int) -> _ByKey:
        gathered, _ = await self._desk.gather(QualityQuery(window_ns, end_ns), limited=False)
        return {one.key: await self._measured(one) for one in gathered}

    async def _measured(self, one: Gathered) -> QualityFigures:
        return await self._desk.work(lambda: measured(one))


def _made(one: Gathered) -> _Known:
    figures = measured(one, calibrate(one.learnt.judged))
    return _Known(one.tally, one.learnt.judged, figures)
