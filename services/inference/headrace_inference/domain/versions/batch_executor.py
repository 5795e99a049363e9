"""Runs batches of a version's requests, and has each request answered, whatever happens."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.state.records import (
    ExecutionMode,
    Provider,
    ServingConfig,
    SessionOptions,
    Signature,
    VersionRecord,
)
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.payloads.taking import PayloadTaker
from headrace_inference.domain.sampling.version_sampler import VersionSampler
from headrace_inference.domain.scheduling.batching import assemble
from headrace_inference.domain.scheduling.failure_detector import FailureStreak
from headrace_inference.domain.scheduling.inline_policy import INLINE_POLICY
from headrace_inference.domain.scheduling.ordering import Ticket
from headrace_inference.domain.scheduling.padding import run_padded
from headrace_inference.domain.scheduling.queue_refusals import not_awaited
from headrace_inference.domain.scheduling.request_failures import error_of
from headrace_inference.domain.scheduling.requests import Array, BatchResult, InferenceRequest
from headrace_inference.domain.scheduling.row_guard import RowsDiffer, check_rows
from headrace_inference.domain.scheduling.runner import RunFailed, Runner
from headrace_inference.domain.scheduling.scheduler_factory import OpenScheduler, Workload
from headrace_inference.domain.scheduling.watchdog import RunHandle, RunWatchdog, is_awaited
from headrace_inference.domain.schemas.doors import SchemaDoor
from headrace_inference.domain.schemas.passing import OutOfSchema, pass_door
from headrace_inference.domain.versions.responder import Responder
from headrace_inference.domain.versions.statistics import VersionCounters

logger = logging.getLogger(__name__)

ALONE_FIRST = 8
"""Requests that run alone before any share a run: outputs of several may have all their rows together by
chance, while one that gets more or fewer rows than its own shows at once that they are no batch."""


class RunEnded(Exception):
    """The watchdog ended the run that began at `started_ns`."""

    def __init__(self, started_ns: int) -> None:
        self.started_ns = started_ns


@dataclass(frozen=True, slots=True)
class Execution:
    """All that executing a version's requests needs. `config` has what was chosen here.

    `remarked` is called, from any thread, when there is something else to know of the version.
    """

    record: VersionRecord
    config: ServingConfig
    runner: Runner
    statistics: VersionCounters
    clock: Clock
    watchdog: RunWatchdog
    responder: Responder
    failures: FailureStreak
    remarked: Callable[[], None]
    open_scheduler: OpenScheduler
    sampler: VersionSampler | None = None
    door: SchemaDoor = field(default_factory=SchemaDoor)
    payloads: PayloadTaker | None = None


class BatchExecutor:
    """Runs batches, guards their rows, and runs one by one what fails together."""

    def __init__(self, execution: Execution, alone_first: int = ALONE_FIRST) -> None:
        config, runner = execution.config, execution.runner
        self.max_rows = runner.plan.most_rows(config, row_bytes(execution.record.signature))
        """The most rows of several requests that share a run."""
        self.joins_larger = self.max_rows > 1 and runner.plan.joins_larger(config)
        """Whether requests of several rows may share a quick run of more rows."""
        self.expected_ns = float("inf")
        """The time that the next run is expected to take."""
        self.batching_off = ""
        """The reason why requests share no run although the config lets them; empty: they may."""
        self._record, self._runner = execution.record, runner
        self._statistics, self._responder = execution.statistics, execution.responder
        self._statistics.set_max_rows(self.max_rows)
        self._statistics.is_on_device = runner.provider not in ("", Provider.CPU)
        self._now_ns, self._thread_ns = execution.clock.monotonic_ns, execution.clock.thread_ns
        self._runs_on_thread = _runs_on_calling_thread(runner.provider, config.session)
        self._door = execution.door
        self._watchdog, self._failures = execution.watchdog, execution.failures
        self._remarked = execution.remarked
        self._handles: list[RunHandle] = []
        self._running: list[RunHandle] = []
        self._allowed_sizes = config.batching.allowed_batch_sizes
        self._is_guarded = self.max_rows > 1 or bool(self._allowed_sizes)
        self._alone_first = alone_first if self._is_guarded else 0
        self.scheduler = execution.open_scheduler(config, _workload(execution, self))
        if runner.batching_obstacle and self._is_guarded:
            self._stop_batching(runner.batching_obstacle)

    def run_queued(self, batch: list[InferenceRequest], ticket: Ticket | None = None) -> None:
        """Run requests that waited in the queue, on a thread of its own."""
        self.run(batch, ticket, queued=True)

    def run(
        self,
        batch: list[InferenceRequest],
        ticket: Ticket | None = None,
        *,
        queued: bool = False,
    ) -> None:
        """Run requests together and answer each of them, whatever happens."""
        if len(batch) > 1 and (self.batching_off or self._alone_first > 0):
            self._run_untried(batch, ticket)
            return
        try:
            self._run_together(batch, ticket, by_own_time=queued and self._runs_on_thread)
        except RunEnded as ended:
            self._settle_ended(batch, ended.started_ns, ticket)
        except OutOfSchema as found:
            self._settle_refused(batch, found, ticket, queued=queued)
        except RowsDiffer as found:
            self._stop_batching(str(found))
            self._run_one_by_one(batch, ticket)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the fault of one request at most
            self._settle_failure(batch, error, ticket)

    def _run_together(
        self, batch: list[InferenceRequest], ticket: Ticket | None, *, by_own_time: bool
    ) -> None:
        """Run a batch, and learn how long that takes.

        On a thread of its own a run may wait for the interpreter longer than it runs, and none would seem
        quick among the threads of many versions: there its thread's own time counts.
        """
        started = self._now_ns()
        used = self._thread_ns() if by_own_time else 0
        inputs = assemble(batch)
        if self._door.checks is not None:
            pass_door(self._door.checks, batch, inputs, _first_rows(batch), self._statistics)
        assembled = self._now_ns()
        outputs = self._watched_run(batch, inputs, assembled)
        ran = self._now_ns()
        first_rows = _first_rows(batch)
        # A request that can share no run says nothing of those that can.
        if len(batch) > 1 or (self._is_guarded and batch[0].plan.batch_key is not None):
            self._guard(outputs, first_rows[-1], len(batch))
        result = BatchResult(batch, outputs, first_rows, (started, assembled, ran), inputs)
        if ticket is not None:
            ticket.wait()
        self._failures.length = 0
        took = self._responder.respond(result) - started
        if by_own_time:
            took = min(took, self._thread_ns() - used)
        self.expected_ns = INLINE_POLICY.expect(self.expected_ns, took)

    def _guard(self, outputs: Sequence[Array], rows: int, requests: int) -> None:
        """Raises RowsDiffer where the outputs of several requests cannot be told apart by their rows.

        A request that ran alone gets its outputs whatever they are; they may show that sharing is wrong.
        """
        try:
            check_rows(self._record.signature.outputs, outputs, rows)
        except RowsDiffer as found:
            if requests > 1:
                raise
            self._stop_batching(str(found))
        if requests == 1:
            self._alone_first -= 1
        elif self.batching_off:  # found out meanwhile: these may fit by chance
            raise RowsDiffer(self.batching_off)

    def _run_untried(self, batch: list[InferenceRequest], ticket: Ticket | None) -> None:
        """Run some requests of a batch alone before others share a run; all of them where none may."""
        alone = len(batch) if self.batching_off else self._alone_first
        self._run_one_by_one(batch[:alone], ticket)
        if rest := batch[alone:]:
            self.run(rest, ticket)

    def _stop_batching(self, reason: str) -> None:
        """Run every request alone and as it is from now on, for as long as the version is loaded."""
        self.batching_off = self.batching_off or reason
        if not self.scheduler.stop_batching():
            return
        self.max_rows, self.joins_larger = 1, False
        self._allowed_sizes, self._is_guarded = (), False
        self._statistics.set_max_rows(1)
        self._statistics.record_batching_disabled()
        logger.warning(
            "batching off for %s: %s", self._record.key, reason, extra={"version": self._record.key}
        )
        self._remarked()

    def _watched_run(
        self, batch: list[InferenceRequest], inputs: list[Array], started_ns: int
    ) -> list[Array]:
        """Run so that the watch can end it. Raises RunFailed, and RunEnded where the watch did."""
        try:
            handle = self._handles.pop()
        except IndexError:
            handle = self._runner.new_handle()
        # What is answered already runs no more: its caller's next request may be here before we return.
        is_only_request = len(batch) == 1 and not self._running and not self.scheduler.waiting
        self._running.append(handle)
        ticket = self._watchdog.begin(batch, handle, started_ns)
        run = self._runner.run_alone if is_only_request else self._runner.run
        try:
            if self._allowed_sizes:
                signature = self._record.signature
                return run_padded(run, inputs, handle, self._allowed_sizes, signature)
            return run(inputs, handle)
        except RunFailed:
            if handle.terminate:
                raise RunEnded(started_ns) from None
            raise
        finally:
            self._running.remove(handle)
            if self._watchdog.end(ticket):
                self._handles.append(handle)

    def _settle_ended(
        self, batch: list[InferenceRequest], started_ns: int, ticket: Ticket | None
    ) -> None:
        """A batch that took too long is run again one by one: perhaps one of its requests alone does."""
        now = self._now_ns()
        again = [] if len(batch) == 1 else [one for one in batch if is_awaited(one, now)]
        for request in batch:
            if request not in again:
                request.fail(self._watchdog.error_for(request, started_ns, now))
        self._run_one_by_one(again, ticket)

    def _settle_refused(
        self,
        batch: list[InferenceRequest],
        found: OutOfSchema,
        ticket: Ticket | None,
        *,
        queued: bool,
    ) -> None:
        """Tell those who are refused, and run the others."""
        for place, error in found.refused.items():
            batch[place].fail(error)
        rest = [one for place, one in enumerate(batch) if place not in found.refused]
        if rest:
            self.run(rest, ticket, queued=queued)

    def _settle_failure(
        self, batch: list[InferenceRequest], error: Exception, ticket: Ticket | None
    ) -> None:
        """One bad request must fail alone: a batch that failed is run again, each request for itself."""
        if len(batch) > 1:
            logger.debug("a batch is run again one by one: %s", error)
            self._run_one_by_one(batch, ticket)
            return
        batch[0].fail(error_of(self._record.key, error))
        if isinstance(error, RunFailed):
            self._failures.add(error)

    def _run_one_by_one(self, batch: Sequence[InferenceRequest], ticket: Ticket | None) -> None:
        for request in batch:
            refusal = not_awaited(request, self._now_ns())
            if refusal is None:
                self.run([request], ticket)
            else:
                request.fail(refusal)


def row_bytes(signature: Signature) -> int:
    """Return the bytes of a row, in and out, as far as the signature says; texts count as nothing."""
    specs = (*signature.inputs, *signature.outputs)
    return sum(
        math.prod(size for size in spec.shape[1:] if size > 0)
        * NUMPY_DTYPES[spec.datatype].itemsize
        for spec in specs
        if spec.datatype is not Datatype.BYTES
    )


def _runs_on_calling_thread(provider: str, session: SessionOptions) -> bool:
    """Tell whether all that a run takes is its thread's own time: no device, no other threads."""
    parallel = session.inter_op_threads > 1 or session.execution_mode is ExecutionMode.PARALLEL
    return provider == Provider.CPU and session.intra_op_threads == 1 and not parallel


def _workload(execution: Execution, executor: BatchExecutor) -> Workload:
    return Workload(
        execution.record.key,
        executor.max_rows,
        executor.run_queued,
        execution.runner,
        execution.responder,
        execution.clock,
        execution.watchdog,
    )


def _first_rows(batch: Sequence[InferenceRequest]) -> Sequence[int]:
    if len(batch) == 1:
        return 0, batch[0].plan.rows
    return [0, *itertools.accumulate([request.plan.rows for request in batch])]
