"""Measures how versions that are open run best, and keeps that for when they are opened next."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from headrace.errors import HeadraceError, Unavailable
from headrace_inference.adapters.preparation.remarks import plan_facts, remark_on
from headrace_inference.adapters.preparation.shared_loads import Opened, SharedByLoads
from headrace_inference.adapters.preparation.task import PrepareTask, Step
from headrace_inference.adapters.runtime.load_limit import LoadBounds
from headrace_inference.domain.scheduling.execution_plan import ExecutionPlan
from headrace_inference.domain.scheduling.runner import Runner

logger = logging.getLogger(__name__)

MEASURED = "measured: it runs so when it is opened next"

_GIVEN_UP = "requests, loads or others wanted the cores, or the version ends"

_GRACE_SECONDS = 30.0
"""Opening the graph with other threads is no part of the time for measuring."""


class PlanMeasurement:
    """Measures versions that these loads opened, within `bounds` of memory. `measure` blocks."""

    def __init__(self, shared: SharedByLoads, bounds: LoadBounds) -> None:
        self._shared = shared
        self._bounds = bounds

    def measure(self, runner: Runner, abandoned: threading.Event) -> bool:
        """Find out how a version runs best, until `abandoned`; from now on it opens so. False: not now.

        It opens as if nothing had been asked where it cannot be measured.
        """
        from headrace_inference.adapters.runtime.onnx_runtime import OnnxRunner

        if not isinstance(runner, OnnxRunner):
            return False
        with self._shared.mutex:
            opened = self._shared.opened[runner]
        with (
            self._shared.quiet.measuring(abandoned) as may,
            self._shared.cache.turns.measuring() as turn,
        ):
            plan = self._plan(opened, abandoned) if may and turn else None
        if plan is None:
            return False
        self._keep(opened, plan)
        runner.plan = replace(runner.plan, is_provisional=False)
        runner.remark = remark_on(runner.plan, opened.entry, MEASURED)
        facts = {"version": opened.record.key, **plan_facts(plan)}
        logger.info("version measured", extra=facts)
        return True

    def _plan(self, opened: Opened, abandoned: threading.Event) -> ExecutionPlan | None:
        """The best plan found; None where that could not be told now, since others had the cores."""
        facts = {"version": opened.record.key}
        noted = self._shared.cache.plan_at(opened.entry.place)
        if noted is not None and noted != opened.entry.plan:
            return noted  # by another process
        try:
            plan = self._measured(opened, abandoned)
        except Unavailable as error:
            why = _GIVEN_UP if error.reason == "LOAD_ABANDONED" else error.message
            logger.info("not measured now: %s", why, extra=facts)
            return None
        except HeadraceError as error:
            logger.warning("cannot be measured: %s", error.message, extra=facts)
            if error.reason == "LOAD_CRASHED" and opened.entry.graph is not None:
                self._give_up_graph(opened, f"its optimised graph fails ({error.reason})")
            return ExecutionPlan(affordable_rows=opened.entry.affordable_rows)
        if plan is None:
            logger.info("not measured now: others had the cores", extra=facts)
        return plan

    def _measured(self, opened: Opened, abandoned: threading.Event) -> ExecutionPlan | None:
        """Raises HeadraceError."""
        seconds = self._shared.tuning_seconds
        task = PrepareTask(
            Step.MEASURE,
            str(opened.graph_path),
            opened.record,
            self._shared.machine,
            saved=str(opened.entry.graph or ""),
            seconds=seconds,
        )
        bounds = replace(self._bounds, seconds=_GRACE_SECONDS + 2 * seconds, abandoned=abandoned)
        return self._shared.processes.prepare(task, bounds).plan

    def _keep(self, opened: Opened, plan: ExecutionPlan) -> None:
        place = opened.entry.place
        try:
            self._shared.cache.note(place, plan)
        except (OSError, HeadraceError) as error:
            facts = {"version": opened.record.key}
            logger.info("what was measured is not on the disk: %s", error, extra=facts)
            self._shared.unkept_plans[place] = plan

    def _give_up_graph(self, opened: Opened, because: str) -> None:
        try:
            self._shared.cache.give_up_graph(opened.entry.place, because)
        except (OSError, HeadraceError) as error:
            facts = {"version": opened.record.key}
            logger.info("an unusable graph stays: %s", error, extra=facts)
