"""Versions opened as they were prepared, or prepared first in a process of its own."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.state.records import VersionRecord
from headrace_inference.adapters.preparation.cache import Entry, PreparedCache
from headrace_inference.adapters.preparation.measuring import is_open
from headrace_inference.adapters.preparation.processes import (
    PreparingProcesses,
    open_preparing_processes,
)
from headrace_inference.adapters.preparation.quiet import Quiet
from headrace_inference.adapters.preparation.task import (
    Machine,
    PrepareReport,
    PrepareTask,
    Step,
    error_of,
)
from headrace_inference.adapters.runtime import execution_providers
from headrace_inference.adapters.runtime.onnx_runtime import (
    OnnxRunner,
    RuntimeDefaults,
    folder_of,
    open_session,
)
from headrace_inference.adapters.runtime.prepared_graph import Prepared
from headrace_inference.domain.execution_plan import NO_PLAN, ExecutionPlan

logger = logging.getLogger(__name__)

_ENTRIES_AT_LEAST = 4
"""A larger version is not saved: a single one would drive out the others."""

_PATIENCE = 2
"""Times the time for measuring: so long a load waits for a measurement, and the other way round."""

_MEASURING_GRACE_SECONDS = 30.0
"""Opening the graph with other threads is no part of the time for measuring."""


_FAILURES_OF_SAVING = ("LOAD_CRASHED", "LOAD_TOO_LARGE")
"""What may come of saving an optimised graph and trying it: the version may well open without."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How versions are prepared: kept below a folder of so many bytes, measured for so many seconds."""

    folder: Path
    max_bytes: int
    tuning_seconds: float


class PreparingOpener:
    """Opens versions; `open` may be called from several threads at a time."""

    def __init__(
        self, preparation: Preparation, processes: PreparingProcesses, defaults: RuntimeDefaults
    ) -> None:
        self._cache = PreparedCache(preparation.folder, preparation.max_bytes)
        self._largest = preparation.max_bytes // _ENTRIES_AT_LEAST
        self._tuning_seconds = preparation.tuning_seconds
        self._processes = processes
        self._defaults = defaults
        self._machine = machine_of(defaults)
        self._quiet = Quiet(_PATIENCE * preparation.tuning_seconds)
        self._killed: set[Path] = set()
        self._open: weakref.WeakKeyDictionary[OnnxRunner, str] = weakref.WeakKeyDictionary()

    def open(self, graph_path: Path, record: VersionRecord) -> OnnxRunner:
        """Open and warm a version; the caller closes it. Blocks.

        Raises what `open_session` does, and what `PreparingProcesses.prepare` does.
        """
        if self._is_for_a_device(record):
            report = self._try_out(graph_path, record, target=None, alone=True)
            plan = replace(NO_PLAN, affordable_rows=report.affordable_rows)
            return open_session(graph_path, record, self._defaults, Prepared(plan))
        place = self._place(graph_path, record)
        entry = self._cache.find(place) or self._prepare(graph_path, record, place)
        runner = self._opened(graph_path, record, entry)
        self._open[runner] = record.digest
        return runner

    def _opened(self, graph_path: Path, record: VersionRecord, entry: Entry) -> OnnxRunner:
        """Open what is prepared; what does not open is made anew, and then opened as it was pushed."""
        if entry.graph is None:
            return self._open_prepared(graph_path, record, entry)
        try:
            return self._open_prepared(graph_path, record, entry)
        except HeadraceError as error:
            if error.reason == "MODEL_UNLOADABLE":  # the disk may have spoilt it
                logger.warning(
                    "a prepared version is made anew: %s", error.message, extra=_facts(record)
                )
                self._cache.remove(entry.place)
                entry = self._prepare(graph_path, record, entry.place)
        try:
            return self._open_prepared(graph_path, record, entry)
        except HeadraceError as error:
            logger.warning("a prepared version fails: %s", error.message, extra=_facts(record))
            entry = self._without_graph(
                record, entry, f"its optimised graph fails ({error.reason})"
            )
            return self._open_prepared(graph_path, record, entry)

    def _without_graph(self, record: VersionRecord, entry: Entry, because: str) -> Entry:
        """The entry without its saved graph, from now on: the graph as it was pushed serves."""
        try:
            self._cache.give_up_graph(entry, because)
        except (OSError, HeadraceError) as error:
            logger.info("an unusable graph stays: %s", error, extra=_facts(record))
        return replace(entry, graph=None, unsaved_because=because)

    def _open_prepared(self, graph_path: Path, record: VersionRecord, entry: Entry) -> OnnxRunner:
        entry = self._planned(graph_path, record, entry)
        plan = replace(entry.plan or NO_PLAN, affordable_rows=entry.affordable_rows)
        prepared = Prepared(plan, entry.graph)
        with self._quiet.loading():
            runner = open_session(graph_path, record, self._defaults, prepared)
        if entry.unsaved_because:
            runner.remark = f"the graph serves as it was pushed: {entry.unsaved_because}"
            logger.warning(runner.remark, extra=_facts(record))
        facts = {
            "graph": runner.graph,
            "instances": plan.instances,
            "threads": plan.intra_op_threads,
            "rows": plan.efficient_rows,
            "lone_threads": plan.lone_threads,
            "affordable_rows": plan.affordable_rows,
        }
        logger.info("version prepared", extra=_facts(record) | facts)
        return runner

    def _place(self, graph_path: Path, record: VersionRecord) -> Path:
        """Where the prepared version lies. One whose files nobody named by hash goes when they do."""
        if all(file.sha256 for file in record.files):
            return self._cache.place_of(record, self._machine)
        return folder_of(graph_path, record) / ".prepared"

    def _is_for_a_device(self, record: VersionRecord) -> bool:
        found, told = self._defaults.hardware, record.config.provider_options
        asked = record.config.provider
        return len(execution_providers.choose(asked, found, self._defaults.devices, told)) > 1

    def _prepare(self, graph_path: Path, record: VersionRecord, place: Path) -> Entry:
        """Try the version out, and keep what is saved. A disk that is full costs the saved graph only."""
        try:
            with self._cache.staging() as staging:
                report = self._saved(graph_path, record, place, staging)
                entry = self._cache.keep(staging, place, report)
            self._cache.prune({*self._open.values(), record.digest})
        except OSError as error:
            logger.warning("a prepared version is not kept: %s", error, extra=_facts(record))
            report = self._try_out(graph_path, record, None)
            return Entry(
                place,
                unsaved_because=f"its optimised graph cannot be kept: {error}",
                affordable_rows=report.affordable_rows,
            )
        return entry

    def _saved(
        self, graph_path: Path, record: VersionRecord, place: Path, staging: Path
    ) -> PrepareReport:
        """Try the version out, saving it; without that where it is too large, or where saving failed.

        What a process dies of when it saves a graph, or tries the saved one, is no fault of the version.
        """
        if record.size_bytes > self._largest:
            report = self._try_out(graph_path, record, None)
            return replace(report, unsaved_because="it is over a quarter of prepared_max_bytes")
        if place in self._killed:
            report = self._try_out(graph_path, record, None)
            return replace(report, unsaved_because="a process that optimised it was killed")
        try:
            return self._try_out(graph_path, record, staging)
        except HeadraceError as error:
            if error.reason == "LOAD_KILLED":  # once is bad luck; the next try takes less memory
                self._killed.add(place)
            if error.reason not in _FAILURES_OF_SAVING:
                raise
            logger.warning("a version is not saved: %s", error.message, extra=_facts(record))
            report = self._try_out(graph_path, record, None)
            return replace(report, unsaved_because=f"its optimised graph fails ({error.reason})")

    def _try_out(
        self, graph_path: Path, record: VersionRecord, target: Path | None, *, alone: bool = False
    ) -> PrepareReport:
        """Open it on trial. Raises HeadraceError."""
        task = PrepareTask(Step.TRY, str(graph_path), record, self._machine, str(target or ""))
        with self._quiet.loading():
            report = self._processes.prepare(task, self._defaults.load_bounds, alone=alone)
        if report.failure is not None:
            raise error_of(report.failure)
        return report

    def _planned(self, graph_path: Path, record: VersionRecord, entry: Entry) -> Entry:
        """The entry with how to run it, as far as that could be measured."""
        if entry.plan is not None or not self._tuning_seconds or not is_open(record):
            return entry
        try:
            plan = self._measured(graph_path, record, entry)
        except HeadraceError as error:
            logger.info("not measured: %s", error.message, extra=_facts(record))
            if error.reason == "LOAD_CRASHED" and entry.graph is not None:
                because = f"its optimised graph fails ({error.reason})"
                entry = self._without_graph(record, entry, because)
            plan = NO_PLAN
        if plan is None:
            logger.info("not measured: others had the cores", extra=_facts(record))
            return entry
        try:
            self._cache.note(entry, plan)
        except (OSError, HeadraceError) as error:
            logger.info("what was measured is not kept: %s", error, extra=_facts(record))
        return replace(entry, plan=plan)

    def _measured(
        self, graph_path: Path, record: VersionRecord, entry: Entry
    ) -> ExecutionPlan | None:
        """The best plan found; None where others had the cores. Raises HeadraceError."""
        seconds = self._tuning_seconds
        saved = str(entry.graph or "")
        task = PrepareTask(
            Step.MEASURE,
            str(graph_path),
            record,
            self._machine,
            saved=saved,
            seconds=seconds,
            affordable_rows=entry.affordable_rows,
        )
        bounds = replace(self._defaults.load_bounds, seconds=_MEASURING_GRACE_SECONDS + 2 * seconds)
        with self._quiet.measuring():
            return self._processes.prepare(task, bounds).plan


@contextmanager
def open_preparing_opener(
    preparation: Preparation, defaults: RuntimeDefaults
) -> Iterator[PreparingOpener]:
    """What opens versions while inside."""
    with open_preparing_processes() as processes:
        yield PreparingOpener(preparation, processes, defaults)


def machine_of(defaults: RuntimeDefaults) -> Machine:
    """What a preparing process is told of this machine."""
    devices = defaults.devices
    return Machine(
        cores=defaults.cores,
        spinning=defaults.spinning,
        device_id=devices.device_id,
        gpu_memory_limit_bytes=devices.gpu_memory_limit_bytes,
        engine_cache=str(devices.engine_cache or ""),
        custom_operators=str(defaults.custom_operators or ""),
    )


def _facts(record: VersionRecord) -> dict[str, object]:
    return {"version": record.key}
