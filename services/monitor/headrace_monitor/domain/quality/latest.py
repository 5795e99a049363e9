"""The figures of the last day, kept fresh for whoever looks at them in any thread."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.quality.estimates import calibrate
from headrace_monitor.domain.quality.figures import QualityFigures, QualityKey, QualityQuery
from headrace_monitor.domain.quality.quality_book import Totals
from headrace_monitor.domain.quality.quality_desk import DEFAULT_WINDOW_NS, QualityDesk
from headrace_monitor.domain.quality.questions import Gathered, measured
from headrace_monitor.domain.quality.tallies import Tally
from headrace_monitor.domain.telemetry.report import NANOSECONDS

FRESH_SECONDS = 15.0
"""How often figures are made anew, of versions and slices of which something was counted."""

PAUSE_SECONDS = 2.0
"""How soon they are made anew after labels came."""

_BEFORE_EVERY_NS = 600 * NANOSECONDS
"""How often those of the days before are made anew."""

_BEFORE_NS = 30 * DEFAULT_WINDOW_NS


@dataclass(frozen=True, slots=True)
class LastDay:
    """How good the answers of the last day were, by version and slice, and those of the 30 days before."""

    figures: Sequence[QualityFigures]
    totals: Totals
    before: Mapping[QualityKey, QualityFigures] = field(default_factory=dict)


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
        self._before: Mapping[QualityKey, QualityFigures] = {}
        self._looked_ns = 0
        self.last_day: LastDay | None = None

    async def run(self) -> None:
        """Keep them fresh, for ever."""
        while True:
            self._desk.labelled.clear()
            if self._desk.has_answers:
                await self._look_back()
                await self.refresh()
            with suppress(TimeoutError):
                async with asyncio.timeout(FRESH_SECONDS):
                    await self._desk.labelled.wait()
            await asyncio.sleep(PAUSE_SECONDS)

    async def refresh(self) -> None:
        """Make figures of what has changed since the last time."""
        gathered, totals = await self._desk.gather(QualityQuery(DEFAULT_WINDOW_NS), limited=False)
        known: dict[QualityKey, _Known] = {}
        for one in gathered:
            known[one.key] = await self._made(one)
        self._known = known
        self.last_day = LastDay([each.figures for each in known.values()], totals, self._before)

    async def _made(self, one: Gathered) -> _Known:
        old = self._known.get(one.key)
        if old is not None and (old.tally, old.judged) == (one.tally, one.learnt.judged):
            return old
        return await self._desk.work(lambda: _made(one))

    async def _look_back(self) -> None:
        now_ns = self._clock().now_ns
        if 0 <= now_ns - self._looked_ns < _BEFORE_EVERY_NS:
            return
        self._looked_ns, end_ns = now_ns, now_ns - DEFAULT_WINDOW_NS
        gathered, _ = await self._desk.gather(QualityQuery(_BEFORE_NS, end_ns), limited=False)
        self._before = {one.key: await self._measured(one) for one in gathered}

    async def _measured(self, one: Gathered) -> QualityFigures:
        return await self._desk.work(lambda: measured(one))


def _made(one: Gathered) -> _Known:
    figures = measured(one, calibrate(one.learnt.judged))
    return _Known(one.tally, one.learnt.judged, figures)
