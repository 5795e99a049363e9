"""Chooses the scheduler of a version by its serving config."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from headrace.state.records import ServingConfig
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.scheduling.instance_pool import InstancePool, RunBatch
from headrace_inference.domain.scheduling.requests import BatchResult, PartialResult
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.scheduling.scheduler import Scheduler
from headrace_inference.domain.scheduling.watchdog import RunWatchdog


class Responder(Protocol):
    """Gives results to the sinks of their requests, and counts them."""

    def respond(self, result: BatchResult) -> int:
        """Deliver and count the last that these requests get; the time when that was done."""

    def respond_partly(self, result: PartialResult) -> bool:
        """Deliver one of several responses to a request. False: its caller takes no more of them."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The requests of one version, and all that a scheduler needs to run them.

    Most only say which requests make a batch, and have `run_batch` do all the rest. One that takes the
    steps of several requests in turns calls `runner` and `responder` itself.
    """

    name: str
    max_rows: int
    run_batch: RunBatch
    runner: Runner
    responder: Responder
    clock: Clock
    watchdog: RunWatchdog


OpenScheduler = Callable[[ServingConfig, Workload], Scheduler]


def open_scheduler(config: ServingConfig, workload: Workload) -> Scheduler:
    """Open the scheduler that a serving config asks for; whoever called this stops it.

    There is one so far, for models that answer a batch in one run. Another one is chosen here.
    """
    return InstancePool(
        workload.name,
        config,
        workload.run_batch,
        workload.max_rows,
        workload.clock,
        workload.watchdog,
        rest=workload.runner.rest,
    )
