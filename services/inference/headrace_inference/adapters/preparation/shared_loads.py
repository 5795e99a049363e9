"""The parts that all loads of a replica share, and what they have opened."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field
from pathlib import Path

from headrace.state.records import VersionRecord
from headrace_inference.adapters.artifact_cache.file_checks import FileChecks
from headrace_inference.adapters.preparation.cache import Entry, PreparedCache
from headrace_inference.adapters.preparation.exclusive_measurement import ExclusiveMeasurement
from headrace_inference.adapters.preparation.sandbox_pool import PreparingProcesses
from headrace_inference.adapters.preparation.task import HostOptions
from headrace_inference.adapters.preparation.tunable import (
    has_two_sessions,
    is_open,
    leaves_layout_open,
)
from headrace_inference.adapters.runtime.memory_book import MemoryBook
from headrace_inference.domain.scheduling.execution_plan import (
    NO_PLAN,
    ExecutionPlan,
    robust_plan,
)
from headrace_inference.domain.scheduling.runner import Runner


@dataclass(frozen=True, slots=True)
class Opened:
    """A version that is open: its own graph, and the entry that it was opened from."""

    graph_path: Path
    record: VersionRecord
    entry: Entry


@dataclass(frozen=True, slots=True)
class SharedByLoads:
    """The parts that all loads of a replica share; a version over `largest_bytes` is not saved."""

    cache: PreparedCache
    processes: PreparingProcesses
    machine: HostOptions
    quiet: ExclusiveMeasurement
    largest_bytes: int
    tuning_seconds: float
    checks: FileChecks
    memory: MemoryBook
    """What versions of text are promised."""
    killed: set[Path] = field(default_factory=set)
    """The places of versions whose process was killed while it saved them."""
    opened: weakref.WeakKeyDictionary[Runner, Opened] = field(
        default_factory=weakref.WeakKeyDictionary
    )
    """What versions were opened from; read and changed by whoever has the mutex."""
    mutex: threading.Lock = field(default_factory=threading.Lock)
    unkept_plans: dict[Path, ExecutionPlan] = field(default_factory=dict)
    """What was measured of versions whose places take nothing."""

    def may_measure(self, record: VersionRecord) -> bool:
        """Return whether it is measured how the version runs best, at some time."""
        return self.tuning_seconds > 0 and is_open(record)

    def robust_plan(self, record: VersionRecord, entry: Entry) -> ExecutionPlan:
        """Return how a version runs that was not measured, or whose runs are too long for that."""
        if not leaves_layout_open(record.config):
            return NO_PLAN
        apart = has_two_sessions(record, entry.graph)
        return robust_plan(record.config, self.machine.cores, apart=apart)
