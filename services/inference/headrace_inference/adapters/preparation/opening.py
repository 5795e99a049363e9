"""Versions opened as they were prepared, or prepared first in a process of its own."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from headrace.errors import FailedPrecondition, HeadraceError
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
        self._open: weakref.WeakKeyDictionary[OnnxRunner, str] = weakref.WeakKeyDictionary()

    def open(self, graph_path: Path, record: VersionRecord) -> OnnxRunner:
        """Open and warm a version; the caller closes it. Blocks.

        Raises what `open_session` does, and what `PreparingProcesses.prepare` does.
        """
        if self._is_for_a_device(record):
            self._try_out(graph_path, record, target=None, alone=True)
            return open_session(graph_path, record, self._defaults)
        place = self._place(graph_path, record)
        entry = self._cache.find(place) or self._prepare(graph_path, record, place)
        try:
            runner = self._open_prepared(graph_path, record, entry)
        except FailedPrecondition as error:
            if entry.graph is None or error.reason != "MODEL_UNLOADABLE":
                raise
            logger.warning(
                "a prepared version is made anew: %s", error.message, extra=_facts(record)
            )
            self._cache.remove(place)
            entry = self._prepare(graph_path, record, place)
            runner = self._open_prepared(graph_path, record, entry)
        self._open[runner] = record.digest
        return runner

    def _open_prepared(self, graph_path: Path, record: VersionRecord, entry: Entry) -> OnnxRunner:
        plan = self._plan(graph_path, record, entry)
        prepared = Prepared(plan, entry.graph)
        with self._quiet.loading():
            runner = open_session(graph_path, record, self._defaults, prepared)
        facts = {
            "instances": plan.instances,
            "threads": plan.intra_op_threads,
            "rows": plan.efficient_rows,
            "lone_threads": plan.lone_threads,
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
                saves = record.size_bytes <= self._largest
                report = self._try_out(graph_path, record, staging if saves else None)
                entry = self._cache.keep(staging, place, saved=report.saved)
            self._cache.prune({*self._open.values(), record.digest})
        except OSError as error:
            logger.warning("a prepared version is not kept: %s", error, extra=_facts(record))
            self._try_out(graph_path, record, None)
            return Entry(place)
        return entry

    def _try_out(
        self, graph_path: Path, record: VersionRecord, target: Path | None, *, alone: bool = False
    ) -> PrepareReport:
        """Open it on trial. Saving takes memory, too: what is over the bound with it is tried without."""
        task = PrepareTask(Step.TRY, str(graph_path), record, self._machine, str(target or ""))
        try:
            with self._quiet.loading():
                report = self._processes.prepare(task, self._defaults.load_bounds, alone=alone)
        except FailedPrecondition as error:
            if target is None or error.reason != "LOAD_TOO_LARGE":
                raise
            return self._try_out(graph_path, record, None)
        if report.failure is not None:
            raise error_of(report.failure)
        return report

    def _plan(self, graph_path: Path, record: VersionRecord, entry: Entry) -> ExecutionPlan:
        if entry.plan is not None:
            return entry.plan
        if not self._tuning_seconds or not is_open(record):
            return NO_PLAN
        plan = self._measured(graph_path, record, entry)
        if plan is None:
            logger.info("not measured: others had the cores", extra=_facts(record))
            return NO_PLAN
        try:
            self._cache.note(entry, plan)
        except OSError as error:
            logger.info("what was measured is not kept: %s", error, extra=_facts(record))
        return plan

    def _measured(
        self, graph_path: Path, record: VersionRecord, entry: Entry
    ) -> ExecutionPlan | None:
        """The best plan found; None where others had the cores."""
        seconds = self._tuning_seconds
        saved = str(entry.graph or "")
        task = PrepareTask(
            Step.MEASURE, str(graph_path), record, self._machine, saved=saved, seconds=seconds
        )
        bounds = replace(self._defaults.load_bounds, seconds=_MEASURING_GRACE_SECONDS + 2 * seconds)
        with self._quiet.measuring():
            try:
                return self._processes.prepare(task, bounds).plan
            except HeadraceError as error:
                logger.info("not measured: %s", error.message, extra=_facts(record))
                return NO_PLAN


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
