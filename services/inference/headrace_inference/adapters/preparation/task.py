"""Tasks of the preparing process, and its reports."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from headrace import errors
from headrace.service.child_tasks.messages import ChildError, error_from_child
from headrace.state.records import VersionRecord
from headrace_inference.domain.scheduling.execution_plan import ExecutionPlan

_KINDS = (errors.FailedPrecondition, errors.Unimplemented, errors.InvalidArgument)


@dataclass(frozen=True, slots=True)
class HostOptions:
    """The options with which sessions are opened on this machine, in a form that can be sent."""

    cores: int
    spinning: bool
    device_id: int
    gpu_memory_limit_bytes: int
    engine_cache: str
    custom_operators: str


class Step(enum.StrEnum):
    """A step of preparing a version."""

    TRY = "try"
    """Open it on trial, and save what came of it into the folder `target`, where one is named.

    In `seconds` it runs growing sizes of those that nobody asked for.
    """
    MEASURE = "measure"
    """Find out how to run it best, from the graph `saved` where one is named, in `seconds`."""


@dataclass(frozen=True, slots=True)
class PrepareTask:
    """One step with one version, whose own graph is at `graph`."""

    step: Step
    graph: str
    record: VersionRecord
    machine: HostOptions
    target: str = ""
    saved: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """The outcome: a failure, whether a graph was saved and why not, or what was measured.

    A trial has a plan where there is nothing to measure. A measurement has none where it was of no use,
    since others had the cores meanwhile.
    """

    failure: ChildError | None = None
    saved: bool = False
    unsaved_because: str = ""
    affordable_rows: int = 0
    batching_obstacle: str = ""
    plan: ExecutionPlan | None = None


def error_of(failure: ChildError) -> errors.HeadraceError:
    """The error that was sent; a kind that no opening raises becomes Unavailable."""
    return error_from_child(failure, _KINDS, errors.Unavailable)
