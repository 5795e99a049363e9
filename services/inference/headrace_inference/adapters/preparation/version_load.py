"""One version on its way from its graph to an open, warmed session."""

from __future__ import annotations

import logging
import threading
import weakref
from dataclasses import dataclass, replace
from pathlib import Path

from headrace.errors import FailedPrecondition, HeadraceError
from headrace.state.records import VersionRecord
from headrace_inference.adapters.artifact_cache.file_checks import FileChecks
from headrace_inference.adapters.preparation.autotuning import is_open
from headrace_inference.adapters.preparation.cache import Entry, PreparedCache
from headrace_inference.adapters.preparation.exclusive_measurement import ExclusiveMeasurement
from headrace_inference.adapters.preparation.sandbox_pool import PreparingProcesses
from headrace_inference.adapters.preparation.task import (
    HostOptions,
    PrepareReport,
    PrepareTask,
    Step,
    error_of,
)
from headrace_inference.adapters.runtime.onnx_runtime import (
    OnnxRunner,
    RuntimeDefaults,
    folder_of,
    open_session,
)
from headrace_inference.adapters.runtime.prepared_graph import PreparedGraph
from headrace_inference.domain.reconciliation.load_waits import Urgency
from headrace_inference.domain.scheduling.execution_plan import NO_PLAN, ExecutionPlan
from headrace_inference.domain.scheduling.runner import Runner

logger = logging.getLogger(__name__)

_MEASURING_GRACE_SECONDS = 30.0
"""Opening the graph with other threads is no part of the time for measuring."""

_FAILURES_OF_SAVING = ("LOAD_CRASHED", "LOAD_TOO_LARGE")
"""What may come of saving an optimised graph and trying it: the version may well open without."""


@dataclass(frozen=True, slots=True)
class SharedByLoads:
    """The parts that all loads of a replica share; a version over `largest_bytes` is not saved."""

    cache: PreparedCache
    processes: PreparingProcesses
    machine: HostOptions
    quiet: ExclusiveMeasurement
    largest_bytes: int
    tuning_seconds: float
    killed: set[Path]
    """The places of versions whose process was killed while it saved them."""
    open: weakref.WeakKeyDictionary[OnnxRunner, str]
    """The digests of versions that are open; read and changed by whoever has the mutex."""
    mutex: threading.Lock
    entries: weakref.WeakKeyDictionary[Runner, Path]
    """Where the prepared graphs lie that they were opened from."""
    checks: FileChecks
    urgency: Urgency


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
        plan = replace(NO_PLAN, affordable_rows=report.affordable_rows)
        return open_session(self._graph_path, self._record, self._defaults, PreparedGraph(plan))

    def open_at(self, place: Path) -> OnnxRunner:
        """Open it as it was prepared, or is now. What is prepared lies at a place."""
        runner = self._opened(self._shared.cache.find(place) or self._prepare(place))
        with self._shared.mutex:
            self._shared.open[runner] = self._record.digest
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
            self._shared.cache.give_up_graph(entry, because)
        except (OSError, HeadraceError) as error:
            logger.info("an unusable graph stays: %s", error, extra=self._facts)
        return replace(entry, graph=None, unsaved_because=because)

    def _open_prepared(self, entry: Entry) -> OnnxRunner:
        if entry.graph is None:
            self._check()
        entry = self._planned(entry)
        if entry.graph is None:
            self._check()
        plan = replace(entry.plan or NO_PLAN, affordable_rows=entry.affordable_rows)
        prepared = PreparedGraph(plan, entry.graph)
        with self._shared.quiet.loading(briefly=True):
            runner = open_session(self._graph_path, self._record, self._defaults, prepared)
        if entry.graph is not None:
            self._shared.entries[runner] = entry.place
        if entry.unsaved_because:
            runner.remark = f"the graph serves as it was pushed: {entry.unsaved_because}"
            logger.warning(runner.remark, extra=self._facts)
        if runner.plan.affordable_rows:
            rows = (
                f"at most {runner.plan.affordable_rows} rows are put together: more cost too much"
            )
            runner.remark = f"{runner.remark}; {rows}" if runner.remark else rows
        facts = {
            "graph": runner.graph,
            "instances": plan.instances,
            "threads": plan.intra_op_threads,
            "rows": plan.best_batch_rows,
            "single_request_threads": plan.single_request_threads,
            "affordable_rows": plan.affordable_rows,
        }
        logger.info("version prepared", extra=self._facts | facts)
        return runner

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
            )
        self._prune()
        return entry

    def _prune(self) -> None:
        """Keep the cache within its size; where that fails, the next load tries."""
        with self._shared.mutex:
            in_use = {*self._shared.open.values(), self._record.digest}
        try:
            self._shared.cache.prune(in_use)
        except OSError as error:
            logger.warning("prepared versions were not pruned: %s", error, extra=self._facts)

    def _saved(self, place: Path, staging: Path) -> PrepareReport:
        """Try the version out, saving it; without that where it is too large, or where saving failed.

        What a process dies of when it saves a graph, or tries the saved one, is no fault of the version.
        """
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
        task = PrepareTask(
            Step.TRY, str(self._graph_path), self._record, self._shared.machine, str(target or "")
        )
        briefly = self._shared.urgency.is_awaited(self._record)
        with self._shared.quiet.loading(briefly=briefly):
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

    def _planned(self, entry: Entry) -> Entry:
        """The entry with how to run it, as far as that could be measured.

        While requests wait it is not: that takes seconds, and there is another load.
        """
        if entry.plan is not None or not self._shared.tuning_seconds or not is_open(self._record):
            return entry
        if self._shared.urgency.is_awaited(self._record):
            return entry
        try:
            plan = self._measured(entry)
        except HeadraceError as error:
            logger.info("not measured: %s", error.message, extra=self._facts)
            if error.reason == "LOAD_CRASHED" and entry.graph is not None:
                because = f"its optimised graph fails ({error.reason})"
                entry = self._without_graph(entry, because)
            plan = NO_PLAN
        if plan is None:
            logger.info("not measured: others had the cores", extra=self._facts)
            return entry
        try:
            self._shared.cache.note(entry, plan)
        except (OSError, HeadraceError) as error:
            logger.info("what was measured is not kept: %s", error, extra=self._facts)
        return replace(entry, plan=plan)

    def _measured(self, entry: Entry) -> ExecutionPlan | None:
        """The best plan found; None where others had the cores. Raises HeadraceError."""
        seconds = self._shared.tuning_seconds
        saved = str(entry.graph or "")
        task = PrepareTask(
            Step.MEASURE,
            str(self._graph_path),
            self._record,
            self._shared.machine,
            saved=saved,
            seconds=seconds,
            affordable_rows=entry.affordable_rows,
        )
        bounds = replace(self._defaults.load_bounds, seconds=_MEASURING_GRACE_SECONDS + 2 * seconds)
        with self._shared.quiet.measuring():
            return self._shared.processes.prepare(task, bounds).plan
