"""Has versions measured that serve with a provisional plan: later, when the machine is quiet.

A version is ready as soon as it answers; how it runs best is found out when nobody is kept waiting for
that. What was found is applied while it serves. Nothing is final: what others' work spoilt is measured
again, after growing pauses.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from headrace.state.desired import Key
from headrace_inference.domain.clock import Clock, monotonic_seconds
from headrace_inference.domain.reconciliation.lasting_jobs import in_own_thread
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.versions.loaded_version import LoadedVersion

logger = logging.getLogger(__name__)


class Measurer(Protocol):
    """Finds out how open versions run best."""

    def measure(self, runner: Runner, abandoned: threading.Event) -> bool:
        """Find out how a version runs best, and open it so from now on. False: not now. Blocks.

        Its plan is not provisional any more then. Ends soon after it is `abandoned`.
        """


class CoreUse(Protocol):
    """Watches who uses the cores."""

    def is_quiet(self) -> bool:
        """Tell whether nearly all cores were idle since this was last asked."""

    def is_serving(self) -> bool:
        """Tell whether this process used more than a little of the cores since this was last asked."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """The pauses of measuring, in seconds."""

    first_look: float = 1.0
    """So long nothing loads and the cores are idle, before anything is measured."""
    longest_look: float = 30.0
    """Between looks at a machine that goes on being busy: it doubles up to this."""
    first_retry: float = 5.0
    longest_retry: float = 600.0
    """After a measurement that others' work spoilt: it doubles up to this."""
    watch: float = 0.25
    """Between looks at whether a measurement may go on."""
    rest_share: float = 1.0
    """Before a version is measured, for each second that the measurement before took."""
    unused_rest_share: float = 9.0
    """The same where nobody has called the version: a thousand of them take a tenth of the time."""

    def look(self, busy_looks: int) -> float:
        """Return the pause before the next look, after so many that found the machine busy."""
        return min(self.longest_look, self.first_look * 2.0**busy_looks)

    def retry(self, attempts: int) -> float:
        """Return the pause before a version is measured again, after so many attempts in vain."""
        return min(self.longest_retry, self.first_retry * 2.0 ** (attempts - 1))

    def rest(self, took: float, *, is_used: bool) -> float:
        """Return the pause before a version is measured, after a measurement that took so long."""
        return took * (self.rest_share if is_used else self.unused_rest_share)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Measurements of a version in vain, and when the next may begin."""

    count: int = 0
    next_at: float = 0.0


def next_to_measure(
    waiting: Mapping[Key, bool], attempts: Mapping[Key, Attempts], now: float
) -> tuple[Key | None, float | None]:
    """Return the version to be measured now, if there is one, and else when there will be.

    Of those that wait it is known whether anybody has called them: these come first.
    """
    if not waiting:
        return None, None
    tried = {key: attempts.get(key, Attempts()) for key in waiting}
    due = [key for key in waiting if tried[key].next_at <= now]
    if not due:
        return None, min(each.next_at for each in tried.values())
    return min(
        due, key=lambda key: (not waiting[key], tried[key].count, tried[key].next_at, key)
    ), None


class LaterMeasuring:
    """Measures the versions of a reconciler, one after the other, for as long as `run` runs."""

    def __init__(
        self,
        reconciler: VersionReconciler,
        measurer: Measurer,
        cores: CoreUse,
        clock: Clock,
        pauses: Pauses | None = None,
    ) -> None:
        self._reconciler = reconciler
        self._measurer = measurer
        self._cores = cores
        self._clock = clock
        self._pauses = pauses or Pauses()
        self._attempts: dict[Key, Attempts] = {}
        self._busy_looks = 0
        self._ended, self._took = 0.0, 0.0
        """When the last measurement ended, and how long it took."""

    async def run(self) -> None:
        """Measure what is to be measured, for ever. Nothing is done while nothing is."""
        while True:
            publication = self._reconciler.next_publication
            waiting = self._waiting()
            now = monotonic_seconds(self._clock)
            key, next_at = next_to_measure(waiting, self._attempts, now)
            if key is None:
                self._busy_looks = 0
                await _wait(publication, None if next_at is None else next_at - now)
            elif (rest := self._rest(now, is_used=waiting[key])) > 0:
                await _wait(publication, rest)
            elif await self._is_quiet():
                await self._measure(key)

    def _rest(self, now: float, *, is_used: bool) -> float:
        """For how long the cores rest yet, as far as one can see: somebody may call a version meanwhile."""
        until = self._ended + self._pauses.rest(self._took, is_used=is_used)
        return min(until - now, self._pauses.longest_look)

    def _waiting(self) -> dict[Key, bool]:
        """Return those that are to be measured, and whether anybody has called them."""
        ready = self._reconciler.table.ready
        self._attempts = {key: tried for key, tried in self._attempts.items() if key in ready}
        return {
            key: served.has_answered
            for key, served in ready.items()
            if served.runner.plan.is_provisional
        }

    async def _is_quiet(self) -> bool:
        """Look at the machine for a while."""
        self._cores.is_quiet()
        await asyncio.sleep(self._pauses.look(self._busy_looks))
        is_quiet = self._cores.is_quiet() and not self._reconciler.is_loading
        self._busy_looks = 0 if is_quiet or self._reconciler.is_loading else self._busy_looks + 1
        return is_quiet

    async def _measure(self, key: Key) -> None:
        served = self._reconciler.table.ready.get(key)
        if served is None or not served.runner.plan.is_provisional:
            return
        began = monotonic_seconds(self._clock)
        is_measured = await self._is_measured(key, served)
        self._ended = monotonic_seconds(self._clock)
        self._took = self._ended - began
        if is_measured:
            self._attempts.pop(key, None)
            await self._apply(key, served)
            return
        count = self._attempts.get(key, Attempts()).count + 1
        pause = self._pauses.retry(count)
        self._attempts[key] = Attempts(count, self._ended + pause)
        facts = {"version": served.record.key, "again_in_seconds": pause}
        logger.info("a version goes on with its provisional plan", extra=facts)

    async def _apply(self, key: Key, served: LoadedVersion) -> None:
        """Have the version serve as was measured: now, or when it is loaded next."""
        config = served.record.config
        # For a moment the old one answers beside the new one, which neither knows of.
        may_overlap = not (config.batching.preserve_ordering or config.max_in_flight_requests)
        if not (may_overlap and await self._reconciler.renew(key, served)):
            self._reconciler.tell_anew(key[0])

    async def _is_measured(self, key: Key, served: LoadedVersion) -> bool:
        """Measure a version, for as long as it is loaded and nothing else needs the cores."""
        found, abandoned = [False], threading.Event()

        def measure() -> None:
            found[0] = self._measurer.measure(served.runner, abandoned)

        name = f"measure-{served.record.key}"
        measuring = asyncio.ensure_future(in_own_thread(name, measure))
        self._cores.is_serving()
        try:
            while not measuring.done():
                await asyncio.wait([measuring], timeout=self._pauses.watch)
                is_gone = self._reconciler.table.ready.get(key) is not served
                if is_gone or self._cores.is_serving():
                    abandoned.set()
            await measuring
        except BaseException:
            abandoned.set()
            raise
        return found[0]


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
