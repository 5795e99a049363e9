"""Follows the triggers of a retraining, and runs it when it is due, for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from headrace import errors
from headrace.lifecycle.retraining.journal import Run
from headrace.lifecycle.retraining.plan import seconds
from headrace.lifecycle.retraining.running import Retraining
from headrace.lifecycle.retraining.triggers import Situation, due

_LONGEST_SECONDS = 30 * 86_400.0


@dataclass(slots=True)
class Follower:
    """Asks again and again whether a run is due, and does it."""

    retraining: Retraining
    told: Callable[[str], None] = lambda _: None
    """Is told what keeps it from knowing, or a run from going on, in a sentence."""
    clock: Callable[[], float] = time.time
    _since: float = field(init=False, default=0.0)

    async def follow(self, runs: int | None = None) -> Run | None:
        """Run for ever, or until so many runs have ended; gives the last one.

        What may heal (the registry away, another run under way) is told and tried again.
        """
        self._since, last, ended = self.clock(), None, 0
        pause = seconds(self.retraining.plan.trigger.poll, "trigger.poll")
        while runs is None or ended < runs:
            because = await self._due()
            if not because:
                await asyncio.sleep(pause)
                continue
            try:
                last = await self.retraining.run(because)
            except errors.HeadraceError as error:
                self.told(f"{error.reason}: {error.message}")
                await asyncio.sleep(pause)
                continue
            ended += 1
        return last

    async def _due(self) -> str:
        newest = self.retraining.journal.newest
        if newest is not None and newest.ended is None:
            return newest.because
        return due(self.retraining.plan.trigger, await self._situation(newest))

    async def _situation(self, newest: Run | None) -> Situation:
        plan, client, now = self.retraining.plan, self.retraining.client, self.clock()
        began = newest.began_at if newest else 0.0
        known = Situation(
            now, self._since, began, newest.ended.at if newest and newest.ended else 0.0
        )
        if not plan.trigger.alerts and not plan.trigger.labels:
            return known
        try:
            return replace(
                known,
                stable=(await client.route(plan.model)).stable,
                alerts=tuple(await client.alerts(plan.model, state="firing")),
                labels=await self._labels(now - began) if plan.trigger.labels else 0,
            )
        except errors.HeadraceError as error:
            self.told(f"{error.reason}: {error.message}")
            return known

    async def _labels(self, window_seconds: float) -> int:
        """How many labels the monitor joined with answers of this time."""
        window = min(window_seconds, _LONGEST_SECONDS)
        found = await self.retraining.client.quality(
            self.retraining.plan.model, slice_name="", window_seconds=window
        )
        return sum(each.labelled for each in found.qualities)
