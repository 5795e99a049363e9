"""The options that hold for every version that a replica opens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from headrace.machine.memory import usable_memory_bytes
from headrace_inference.adapters.runtime.cores import usable_cores
from headrace_inference.adapters.runtime.execution_providers import (
    DeviceOptions,
    Hardware,
    hardware,
)
from headrace_inference.adapters.runtime.load_limit import LoadBounds
from headrace_inference.adapters.runtime.warm_up_costs import FULL_BUDGET, WarmUpBudget


@dataclass(frozen=True, slots=True)
class RuntimeDefaults:
    """The options that hold for every version that a replica opens."""

    cores: int = field(default_factory=usable_cores)
    spinning: bool = True
    gives_way: bool = False
    """Whether threads that open versions give way to those that serve: on some of the cores until it is
    open, and with less priority to their ends."""
    load_bounds: LoadBounds = field(default_factory=LoadBounds)
    devices: DeviceOptions = field(default_factory=DeviceOptions)
    hardware: Callable[[], Hardware] = hardware
    """Looks when the first version is opened: ONNX Runtime has to be loaded for it."""
    custom_operators: Path | None = None
    """The folder of the libraries that serving configs may name."""
    warm_up_budget: WarmUpBudget = FULL_BUDGET
    memory_bytes: int = field(default_factory=usable_memory_bytes)
    """The memory of which models of text have their shares."""
