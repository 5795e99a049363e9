"""Versions opened as they were prepared, or prepared first in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import FailedPrecondition
from headrace.machine.memory import own_memory_bytes
from headrace.service.disk_reserve import DiskReserve
from headrace.state.language_records import VersionKind
from headrace.state.records import VersionRecord
from headrace_inference.adapters.artifact_cache.file_checks import FileChecks
from headrace_inference.adapters.artifact_cache.leases import CacheLeases
from headrace_inference.adapters.preparation.cache import Kept, PreparedCache
from headrace_inference.adapters.preparation.exclusive_measurement import ExclusiveMeasurement
from headrace_inference.adapters.preparation.plan_measurement import PlanMeasurement
from headrace_inference.adapters.preparation.sandbox_pool import (
    PreparingProcesses,
    open_preparing_processes,
)
from headrace_inference.adapters.preparation.shared_loads import SharedByLoads
from headrace_inference.adapters.preparation.task import HostOptions
from headrace_inference.adapters.runtime import execution_providers
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.memory_book import MOST_PART, MemoryBook
from headrace_inference.adapters.runtime.version_files import files_unusable, folder_of, no_memory
from headrace_inference.adapters.runtime.warm_up_costs import WarmUpBudget
from headrace_inference.domain.scheduling.runner import Runner

if (
    TYPE_CHECKING
):  # ONNX Runtime is loaded when the first version is opened: an idle replica is smaller
    from headrace_inference.adapters.preparation.version_load import VersionLoad
    from headrace_inference.adapters.runtime.onnx_runtime import OnnxRunner

_ENTRIES_AT_LEAST = 4
"""A larger version is not saved: a single one would drive out the others."""

_PATIENCE = 2
"""Times the time for measuring: a load that has gone on for longer keeps nobody from it."""

_WARM_UP = WarmUpBudget(0.1, is_trial=False)
"""Of a version that was tried: what runs later than its first rows need not run before it is ready."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """The bounds of preparing: the cache's folder and bytes, and the seconds of measuring.

    What `leases` say to be in use is kept however large the folder is.
    """

    folder: Path
    max_bytes: int
    tuning_seconds: float
    leases: CacheLeases = field(default_factory=CacheLeases)
    checks: FileChecks = field(default_factory=FileChecks)
    reserve: DiskReserve | None = None


class PreparingOpener:
    """Opens versions; `open` may be called from several threads at a time."""

    def __init__(
        self, preparation: Preparation, processes: PreparingProcesses, defaults: RuntimeDefaults
    ) -> None:
        self._defaults = defaults
        self._shared = SharedByLoads(
            cache=PreparedCache(
                preparation.folder,
                preparation.max_bytes,
                preparation.leases,
                preparation.checks,
                preparation.reserve,
            ),
            processes=processes,
            machine=machine_of(defaults),
            quiet=ExclusiveMeasurement(_PATIENCE * preparation.tuning_seconds),
            largest_bytes=preparation.max_bytes // _ENTRIES_AT_LEAST,
            tuning_seconds=preparation.tuning_seconds,
            checks=preparation.checks,
            memory=MemoryBook(int(MOST_PART * defaults.memory_bytes)),
        )
        self.memory = self._shared.memory
        """What versions of text are promised."""
        self.measurement = PlanMeasurement(self._shared, defaults.load_bounds)
        """Measures how what was opened here runs best."""

    def open_any(
        self, graph_path: Path, record: VersionRecord, abandoned: threading.Event | None = None
    ) -> Runner:
        """Open and warm a version, of tensors or of text, as `open` does. Raises as that does."""
        if record.kind is VersionKind.TENSORS:
            return self.open(graph_path, record, abandoned)
        with self._loading(graph_path, record, abandoned) as load:
            return load.open_text_at(self._place(graph_path, record))

    def open(
        self, graph_path: Path, record: VersionRecord, abandoned: threading.Event | None = None
    ) -> OnnxRunner:
        """Open and warm a version; the caller closes it. Blocks, until soon after it is `abandoned`.

        Raises what `open_session` does, and what `PreparingProcesses.prepare` does.
        """
        with self._loading(graph_path, record, abandoned) as load:
            if self._is_for_a_device(record):
                return load.open_on_device()
            return load.open_at(self._place(graph_path, record))

    @contextmanager
    def _loading(
        self, graph_path: Path, record: VersionRecord, abandoned: threading.Event | None
    ) -> Iterator[VersionLoad]:
        """Yield what opens it. What fails for want of a file that was there is not the version's fault."""
        from headrace_inference.adapters.preparation.version_load import VersionLoad

        bounds = replace(self._defaults.load_bounds, abandoned=abandoned)
        load = VersionLoad(
            self._shared,
            graph_path,
            record,
            replace(self._defaults, load_bounds=bounds, warm_up_budget=_WARM_UP),
        )
        try:
            try:
                yield load
            except FailedPrecondition:
                load.check_files()
                raise
        except MemoryError as error:
            raise no_memory(record, error) from error
        except OSError as error:
            raise files_unusable(record, error) from error

    def expect(self, record: VersionRecord) -> None:
        """Have a process ready for a version whose files are being fetched, if it will need one."""
        if not self.is_prepared(record):
            self._shared.processes.start_early()

    def is_prepared(self, record: VersionRecord) -> bool:
        """Return whether the version was prepared once: it most likely opens in moments."""
        return self._shared.cache.has(record.digest)

    def entry_of(self, runner: Runner) -> tuple[Path, Mapping[str, Kept]] | None:
        """The folder of the prepared graph that a runner was opened from, and what its files should be."""
        with self._shared.mutex:
            opened = self._shared.opened.get(runner)
        if opened is None or opened.entry.graph is None:
            return None
        return opened.entry.place, self._shared.cache.kept(opened.entry.place)

    def remove_entry(self, place: Path) -> None:
        """Have a version prepared anew when it is loaded next."""
        self._shared.cache.remove(place)

    def preparing_bytes(self) -> int:
        """The memory that versions take which are being prepared."""
        return sum(map(own_memory_bytes, self._shared.processes.pids(busy=True)))

    def _place(self, graph_path: Path, record: VersionRecord) -> Path:
        """Return where the prepared version lies; without hashes of its files it goes when they do."""
        if all(file.sha256 for file in record.files):
            return self._shared.cache.place_of(record, self._shared.machine)
        return folder_of(graph_path, record) / ".prepared"

    def _is_for_a_device(self, record: VersionRecord) -> bool:
        found, told = self._defaults.hardware(), record.config.provider_options
        asked = record.config.provider
        return len(execution_providers.choose(asked, found, self._defaults.devices, told)) > 1


@contextmanager
def open_preparing_opener(
    preparation: Preparation, defaults: RuntimeDefaults
) -> Iterator[PreparingOpener]:
    """Yield what opens versions while inside."""
    with open_preparing_processes() as processes:
        yield PreparingOpener(preparation, processes, defaults)


def machine_of(defaults: RuntimeDefaults) -> HostOptions:
    """Return what a preparing process is told of this machine."""
    devices = defaults.devices
    return HostOptions(
        cores=defaults.cores,
        spinning=defaults.spinning,
        device_id=devices.device_id,
        gpu_memory_limit_bytes=devices.gpu_memory_limit_bytes,
        engine_cache=str(devices.engine_cache or ""),
        custom_operators=str(defaults.custom_operators or ""),
    )
