"""Evaluates all rules, again and again: collects facts, looks, and has the book take what was seen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from headrace import errors
from headrace.alert_rules.rules import AnyRule, Errors, Latency, Objective, Slower
from headrace_monitor.domain.alerts import service_checks
from headrace_monitor.domain.alerts.alert_book import AlertBook
from headrace_monitor.domain.alerts.alerts import Level, Subject
from headrace_monitor.domain.alerts.budgets import HOUR_SECONDS
from headrace_monitor.domain.alerts.figures import ServiceWindow, Sources
from headrace_monitor.domain.alerts.looking import Facts, look
from headrace_monitor.domain.alerts.service_checks import Counted
from headrace_monitor.domain.alerts.states import Look
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.ingestion.ingestion import Ingestion
from headrace_monitor.domain.queries.query_engine import QueryEngine
from headrace_monitor.domain.telemetry.report import NANOSECONDS

logger = logging.getLogger(__name__)

SETTLED_SECONDS = 120
"""Reports come a little late: an hour is counted when it has been over for so long."""


class Evaluator:
    """Looks at everything every `interval_seconds`. What it finds is the book's."""

    def __init__(
        self,
        book: AlertBook,
        sources: Sources,
        ingestion: Ingestion,
        questions: QueryEngine,
        clock: Clock,
        interval_seconds: float,
        after: Callable[[], None],
    ) -> None:
        """`after` is called after each evaluation."""
        self._book = book
        self._sources = sources
        self._ingestion = ingestion
        self._questions = questions
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._after = after
        self.evaluations = 0
        self.evaluated_ns = 0
        """When rules were evaluated last."""
        self.seconds = 0.0
        """How long that took."""
        self.stalled_ns = 0
        """Since when nothing could be evaluated, or what was found not stored; 0 where all is well."""

    async def run(self) -> None:
        """Evaluate for ever; an evaluation that takes long has the next one wait."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._interval_seconds
            try:
                await self.evaluate()
            except (errors.Unavailable, errors.ResourceExhausted):
                pass  # it was told of
            except Exception as error:  # noqa: BLE001  # what a rule stumbles over ends no monitor
                self._note_stall(error)
            self.seconds = loop.time() - due + self._interval_seconds
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def evaluate(self) -> None:
        """Evaluate once. Raises Unavailable or ResourceExhausted where the outcome cannot be stored now."""
        try:
            await self._evaluate()
        except (errors.Unavailable, errors.ResourceExhausted) as error:
            self._note_stall(error)
            raise
        self.stalled_ns = 0
        self.evaluations += 1
        self.evaluated_ns = self._clock().now_ns
        self._after()

    def _note_stall(self, error: Exception) -> None:
        if self.stalled_ns:
            return
        self.stalled_ns = self._clock().now_ns
        if isinstance(error, errors.HeadraceError):
            logger.error("alerts cannot be stored: %s", error, extra={"reason": error.reason})
        else:
            logger.error("rules cannot be evaluated", exc_info=error)

    async def _evaluate(self) -> None:
        rules = self._book.in_force.rules.active
        facts = await self._facts(rules)
        looks = await self._questions.run_in_thread(lambda: [look(rule, facts) for rule in rules])
        if self._book.alerts or any(_has_begun(each) for each in looks):
            # at the moment of the change, since one that waited for the store is of an older one
            await self._ingestion.apply(lambda: self._book.take_looks(looks, self._clock()))
        await self._count_hours(rules)

    async def _facts(self, rules: Sequence[AnyRule]) -> Facts:
        windows = dict(await self._windows(rules))
        sources = self._sources
        quality = await sources.quality.figures()
        is_wanted = any(isinstance(rule, Slower) for rule in rules)
        slower = await sources.paces.slower() if is_wanted else None

        def others() -> Facts:
            return Facts(
                windows,
                sources.gaps.gaps(),
                sources.drift.open_findings(),
                quality,
                sources.versions.unready(),
                slower,
            )

        return await self._questions.run_in_thread(others)

    async def _windows(self, rules: Sequence[AnyRule]) -> Mapping[float, ServiceWindow]:
        about = [rule for rule in rules if isinstance(rule, Objective | Errors | Latency)]
        windows = {
            seconds: await self._sources.service.during(seconds, _any_of(about))
            for seconds in sorted(service_checks.windows_of(about))
        }
        longer = await self._questions.run_in_thread(lambda: service_checks.burning(about, windows))
        for seconds, models in longer.items():
            if seconds not in windows:
                windows[seconds] = await self._sources.service.during(seconds, models.__contains__)
        return windows

    async def _count_hours(self, rules: Sequence[AnyRule]) -> None:
        """Count for the budgets the hours that are over and were not counted: one, but after a start."""
        objectives = [rule for rule in rules if isinstance(rule, Objective)]
        now = self._clock().now_ns // NANOSECONDS
        over = (now - SETTLED_SECONDS) // HOUR_SECONDS - 1
        while objectives and (hour := self._book.budgets.next_hour(over)) is not None:
            await self._count_hour(objectives, hour)

    async def _count_hour(self, objectives: Sequence[Objective], hour: int) -> None:
        end_ns = (hour + 1) * HOUR_SECONDS * NANOSECONDS
        found = await self._sources.service.during(HOUR_SECONDS, _any_of(objectives), end_ns)
        counted: list[tuple[str, Subject, Counted]] = [
            (rule.name, subject, each)
            for rule in objectives
            for subject, each in service_checks.count(rule, found)
        ]
        await self._ingestion.apply(lambda: self._book.budgets.count(hour, counted))


def _has_begun(each: Look) -> bool:
    return any(seen.level is Level.OVER for seen in each.seen)


def _any_of(rules: Iterable[AnyRule]) -> Callable[[str], bool]:
    """Return what tells models that some rule is about: most are about all."""
    rules = list(rules)
    if any(not rule.models for rule in rules):
        return _all
    known: dict[str, bool] = {}

    def is_wanted(model: str) -> bool:
        if model not in known:
            known[model] = any(rule.is_about(model, *rule.versions[:1]) for rule in rules)
        return known[model]

    return is_wanted


def _all(_: str) -> bool:
    return True
