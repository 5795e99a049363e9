"""Follows the triggers of a retraining, and runs it when it is due, for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from headrace import errors
from headrace.lifecycle.retraining.journal import Outcome, Run
from headrace.lifecycle.retraining.plan import invalid, seconds
from headrace.lifecycle.retraining.running import Retraining
from headrace.lifecycle.retraining.triggers import Situation, due

_LONGEST_SECONDS = 30 * 86_400.0


@dataclass(slots=True)
class Follower:
    """Asks again and again whether a run is due, and does it."""

    retraining: Retraining
    told: Callable[[str], None] = lambda _: None
    """Is told what keeps it from knowing, or a run from going on, in a sentence, once each."""
    clock: Callable[[], float] = time.time
    _since: float = field(init=False, default=0.0)
    _said: str = field(init=False, default="")

    async def follow(self, runs: int | None = None) -> Run | None:
        """Run for ever, or until so many runs have ended; gives the last one.

        What may heal (the registry away, another run under way) is told and tried again. Raises
        InvalidArgument (RETRAINING_INVALID) for a file without triggers.
        """
        if self.retraining.plan.trigger.is_empty:
            raise invalid("trigger: nothing would ever begin a run; --now does one")
        self._since, last, ended = self.clock(), None, 0
        pause = max(0.1, seconds(self.retraining.plan.trigger.poll, "trigger.poll"))
        while runs is None or ended < runs:
            because = await self._due()
            if because:
                try:
                    last = await self.retraining.run(because)
                except errors.HeadraceError as error:
                    self._tell(error)
                else:
                    ended, self._said = ended + 1, ""
                    continue
            await asyncio.sleep(pause)
        return last

    async def _due(self) -> str:
        unfinished = self.retraining.journal.unfinished
        if unfinished is not None:
            return unfinished.because
        return due(self.retraining.plan.trigger, await self._situation())

    async def _situation(self) -> Situation:
        plan, client, now = self.retraining.plan, self.retraining.client, self.clock()
        newest = self.retraining.journal.newest
        began = newest.began_at if newest else 0.0
        ended = newest.ended.at if newest and newest.ended else 0.0
        known = Situation(now, self._since, began, ended, unpromoted=self._unpromoted())
        if not plan.trigger.alerts and not plan.trigger.labels:
            return known
        try:
            known = replace(
                known,
                stable=(await client.route(plan.model)).stable,
                alerts=tuple(await client.alerts(plan.model, state="firing")),
                labels=await self._labels(now - began) if plan.trigger.labels else 0,
            )
        except errors.HeadraceError as error:
            self._tell(error)
        else:
            self._said = ""
        return known

    def _unpromoted(self) -> int:
        """So many of the last runs, one after the other, were not promoted."""
        count = 0
        for run in reversed(self.retraining.journal.runs.values()):
            if run.ended is None or run.ended.outcome is Outcome.PROMOTED:
                break
            count += 1
        return count

    async def _labels(self, window_seconds: float) -> int:
        """How many labels the monitor joined with answers of this time."""
        window = min(max(1.0, window_seconds), _LONGEST_SECONDS)
        found = await self.retraining.client.quality(
            self.retraining.plan.model, slice_name="", window_seconds=window
        )
        return sum(each.labelled for each in found.qualities)

    def _tell(self, error: errors.HeadraceError) -> None:
        if error.reason != self._said:
            self._said = error.reason
            self.told(f"{error.reason}: {error.message}")
