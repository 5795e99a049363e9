"""One version on its way from its graph to an open, warmed session."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from headrace.errors import FailedPrecondition, HeadraceError
from headrace.state.language_records import VersionKind
from headrace.state.records import VersionRecord
from headrace_inference.adapters.preparation.cache import Entry
from headrace_inference.adapters.preparation.remarks import plan_facts, remark_on
from headrace_inference.adapters.preparation.shared_loads import Opened, SharedByLoads
from headrace_inference.adapters.preparation.task import (
    PrepareReport,
    PrepareTask,
    Step,
    error_of,
)
from headrace_inference.adapters.preparation.text_versions import open_text_version
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.onnx_runtime import OnnxRunner, open_session
from headrace_inference.adapters.runtime.prepared_graph import PreparedGraph
from headrace_inference.adapters.runtime.version_files import folder_of
from headrace_inference.adapters.runtime.warm_up_costs import FULL_BUDGET, WARM_UP_SECONDS
from headrace_inference.domain.scheduling.execution_plan import (
    ExecutionPlan,
)
from headrace_inference.domain.scheduling.runner import Runner

logger = logging.getLogger(__name__)

_TRIAL_SECONDS = 0.75
"""Where it is measured later, the trial of rows that nobody asked for takes about so long at most."""

_FAILURES_OF_SAVING = ("LOAD_CRASHED", "LOAD_TOO_LARGE")
"""What may come of saving an optimised graph and trying it: the version may well open without."""


class VersionLoad:
    """Opens one version. The methods block, and raise what `open_session` and `prepare` raise."""

    def __init__(
        self,
        shared: SharedByLoads,
        graph_path: Path,
        record: VersionRecord,
        defaults: RuntimeDefaults,
    ) -> None:
        self._shared = shared
        self._graph_path = graph_path
        self._record = record
        self._defaults = defaults
        self._facts = {"version": record.key}
        self._is_checked = False

    def open_on_device(self) -> OnnxRunner:
        """Open it after a trial by a process whose memory of the device is free by then."""
        report = self._trial_load(target=None, alone=True)
        plan = ExecutionPlan(affordable_rows=report.affordable_rows)
        defaults = replace(self._defaults, warm_up_budget=FULL_BUDGET)
        return open_session(self._graph_path, self._record, defaults, PreparedGraph(plan))

    def open_at(self, place: Path) -> OnnxRunner:
        """Open it as it was prepared, or is now. What is prepared lies at a place."""
        return self._opened(self._shared.cache.find(place) or self._prepare_in_turn(place))

    def open_text_at(self, place: Path) -> Runner:
        """Open a version of text, after a trial that is noted at a place: nothing of it is saved."""
        entry = self._shared.cache.find(place) or self._prepare_in_turn(place)
        self._check()
        with self._shared.quiet.loading():
            runner = open_text_version(
                self._graph_path, self._record, self._defaults, self._shared.memory
            )
        with self._shared.mutex:
            self._shared.opened[runner] = Opened(self._graph_path, self._record, entry)
        logger.info("version of text opened", extra=self._facts)
        return runner

    def _opened(self, entry: Entry) -> OnnxRunner:
        """Open what is prepared; what does not open is made anew, and then opened as it was pushed."""
        if entry.graph is None:
            return self._open_prepared(entry)
        try:
            return self._open_prepared(entry)
        except FailedPrecondition as error:
            if error.reason == "MODEL_UNLOADABLE":  # the disk may have spoilt it
                logger.warning(
                    "a prepared version is made anew: %s", error.message, extra=self._facts
                )
                self._shared.cache.remove(entry.place)
                entry = self._prepare(entry.place)
        try:
            return self._open_prepared(entry)
        except FailedPrecondition as error:
            logger.warning("a prepared version fails: %s", error.message, extra=self._facts)
            entry = self._without_graph(entry, f"its optimised graph fails ({error.reason})")
            return self._open_prepared(entry)

    def _without_graph(self, entry: Entry, because: str) -> Entry:
        """The entry without its saved graph, from now on: the graph as it was pushed serves."""
        try:
            self._shared.cache.give_up_graph(entry.place, because)
        except (OSError, HeadraceError) as error:
            logger.info("an unusable graph stays: %s", error, extra=self._facts)
        return replace(entry, graph=None, unsaved_because=because)

    def _open_prepared(self, entry: Entry) -> OnnxRunner:
        if entry.graph is None:
            self._check()
        prepared = PreparedGraph(self._plan(entry), entry.graph)
        with self._shared.quiet.loading():
            runner = open_session(self._graph_path, self._record, self._defaults, prepared)
        runner.batching_obstacle = runner.batching_obstacle or entry.batching_obstacle
        with self._shared.mutex:
            self._shared.opened[runner] = Opened(self._graph_path, self._record, entry)
        if entry.unsaved_because:
            logger.warning(
                "the graph serves as it was pushed: %s", entry.unsaved_because, extra=self._facts
            )
        runner.remark = remark_on(runner.plan, entry)
        facts = {"graph": runner.graph, **plan_facts(runner.plan)}
        logger.info("version prepared", extra=self._facts | facts)
        return runner

    def _plan(self, entry: Entry) -> ExecutionPlan:
        """The plan that was measured, or else one that is right wherever it runs."""
        plan = entry.plan or self._shared.unkept_plans.get(entry.place)
        if plan is not None and plan.instances:
            return replace(plan, affordable_rows=entry.affordable_rows)
        return replace(
            self._shared.robust_plan(self._record, entry),
            affordable_rows=entry.affordable_rows,
            is_provisional=plan is None and self._shared.may_measure(self._record),
        )

    def _prepare_in_turn(self, place: Path) -> Entry:
        """Prepare it, unless another process that shares the cache does so already."""
        bounds = self._defaults.load_bounds
        with self._shared.cache.turns.preparing(place, bounds.seconds, bounds.abandoned):
            return self._shared.cache.find(place) or self._prepare(place)

    def _prepare(self, place: Path) -> Entry:
        """Try the version out, and keep what is saved. A disk that is full costs the saved graph only."""
        try:
            with self._shared.cache.staging(self._record.size_bytes) as staging:
                report = self._saved(place, staging)
                entry = self._shared.cache.keep(staging, place, report)
        except OSError as error:
            logger.warning("a prepared version is not kept: %s", error, extra=self._facts)
            report = self._trial_load(None)
            return Entry(
                place,
                unsaved_because=f"its optimised graph cannot be kept: {error}",
                affordable_rows=report.affordable_rows,
                batching_obstacle=report.batching_obstacle,
            )
        self._prune()
        return entry

    def _prune(self) -> None:
        """Keep the cache within its size; where that fails, the next load tries."""
        with self._shared.mutex:
            opened = [each.record.digest for each in self._shared.opened.values()]
        in_use = {*opened, self._record.digest}
        try:
            self._shared.cache.prune(in_use)
        except OSError as error:
            logger.warning("prepared versions were not pruned: %s", error, extra=self._facts)

    def _saved(self, place: Path, staging: Path) -> PrepareReport:
        """Try the version out, saving it; without that where it is too large, or where saving failed.

        What a process dies of when it saves a graph, or tries the saved one, is no fault of the version.
        """
        if self._record.kind is not VersionKind.TENSORS:
            return self._trial_load(None)
        if self._record.size_bytes > self._shared.largest_bytes:
            report = self._trial_load(None)
            return replace(report, unsaved_because="it is over a quarter of prepared_max_bytes")
        if place in self._shared.killed:
            report = self._trial_load(None)
            return replace(report, unsaved_because="a process that optimised it was killed")
        try:
            return self._trial_load(staging)
        except HeadraceError as error:
            if error.reason == "LOAD_KILLED":  # once is bad luck; the next try takes less memory
                self._shared.killed.add(place)
            if error.reason not in _FAILURES_OF_SAVING:
                raise
            logger.warning("a version is not saved: %s", error.message, extra=self._facts)
            report = self._trial_load(None)
            return replace(report, unsaved_because=f"its optimised graph fails ({error.reason})")

    def _trial_load(self, target: Path | None, *, alone: bool = False) -> PrepareReport:
        """Open it on trial. Raises HeadraceError."""
        self._check()
        is_measured_later = not alone and self._shared.may_measure(self._record)
        task = PrepareTask(
            Step.TRY,
            str(self._graph_path),
            self._record,
            self._shared.machine,
            str(target or ""),
            seconds=_TRIAL_SECONDS if is_measured_later else WARM_UP_SECONDS,
        )
        with self._shared.quiet.loading():
            report = self._shared.processes.prepare(task, self._defaults.load_bounds, alone=alone)
        if report.failure is not None:
            raise error_of(report.failure)
        return report

    def check_files(self) -> None:
        """See that the files are what was pushed. Raises Unavailable, OSError."""
        self._shared.checks.check(folder_of(self._graph_path, self._record), self._record)
        self._is_checked = True

    def _check(self) -> None:
        """The same, once for this load."""
        if not self._is_checked:
            self.check_files()
