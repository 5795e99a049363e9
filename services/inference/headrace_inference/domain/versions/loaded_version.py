"""A version that is loaded: its session, its instances, its statistics."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from headrace.errors import HeadraceError
from headrace.state.records import VersionRecord
from headrace_inference.domain.clock import Clock, monotonic_seconds
from headrace_inference.domain.scheduling.batching import assemble, take
from headrace_inference.domain.scheduling.failure_detector import FailureStreak
from headrace_inference.domain.scheduling.inline_policy import INLINE_POLICY
from headrace_inference.domain.scheduling.instance_pool import InstancePool
from headrace_inference.domain.scheduling.ordering import Ticket
from headrace_inference.domain.scheduling.padding import run_padded
from headrace_inference.domain.scheduling.queue_refusals import not_awaited
from headrace_inference.domain.scheduling.request_failures import error_of
from headrace_inference.domain.scheduling.requests import (
    NO_OPTIONS,
    Array,
    BatchResult,
    InferenceRequest,
    Options,
    RequestPlan,
    ResponseSink,
    TensorHeader,
)
from headrace_inference.domain.scheduling.row_guard import RowsDiffer, check_rows
from headrace_inference.domain.scheduling.runner import RunFailed, Runner
from headrace_inference.domain.scheduling.watchdog import RunHandle, RunWatchdog, is_awaited
from headrace_inference.domain.versions.request_validation import plan_request, with_options
from headrace_inference.domain.versions.response_cache import (
    BoundedCache,
    FrameKey,
    RenderedKey,
    ResponseFrame,
)
from headrace_inference.domain.versions.statistics import VersionCounters

__all__ = ["LoadedVersion", "RunFailed", "Runner"]

logger = logging.getLogger(__name__)

_ids = itertools.count(1)

ALONE_FIRST = 8
"""Requests that run alone before any share a run: outputs of several may have all their rows together by
chance, while one that gets more or fewer rows than its own shows at once that they are no batch."""

Broken = Callable[["LoadedVersion", str], None]
"""Called with a version that cannot run any more, and why."""


class _RunEnded(Exception):
    """The watch ended the run that began at `started_ns`."""

    def __init__(self, started_ns: int) -> None:
        self.started_ns = started_ns


class LoadedVersion:
    """One version, ready to answer. `close` drains it.

    `response_frames` and `rendered_heads` belong to whoever encodes its answers.
    `broken` and `remarked`, which is called when there is another `remark`, are called from any thread.
    """

    def __init__(
        self,
        record: VersionRecord,
        runner: Runner,
        statistics: VersionCounters,
        clock: Clock,
        watch: RunWatchdog | None = None,
        broken: Broken | None = None,
        alone_first: int = ALONE_FIRST,
        remarked: Callable[[], None] | None = None,
    ) -> None:
        self.id = next(_ids)
        self.clock = clock
        self._now_ns = clock.monotonic_ns
        self.opened_at = monotonic_seconds(clock)
        self.record = record
        self.runner = runner
        self.statistics = statistics
        self.response_frames: BoundedCache[FrameKey, ResponseFrame] = BoundedCache()
        self.rendered_heads: BoundedCache[RenderedKey, bytes] = BoundedCache()
        self.version_text = str(record.number)
        config = runner.plan.applied_to(record.config)
        self.effective_record = replace(record, config=config)
        """The version with what was chosen here, where its config leaves that open."""
        self._max_rows = runner.plan.most_rows(config)
        statistics.set_max_rows(self._max_rows)
        self._expected_ns = float("inf")
        self._watch = watch or RunWatchdog(clock)
        self._handles: list[RunHandle] = []
        self._failures = FailureStreak(runner.probe, self._tell_broken)
        self._broken = broken
        self._remarked = remarked
        self._allowed_sizes = config.batching.allowed_batch_sizes
        self.batching_off = ""
        """Why requests share no run here although the config lets them; empty: they may."""
        self._is_guarded = self._max_rows > 1 or bool(self._allowed_sizes)
        self._running: list[RunHandle] = []
        self._alone_first = alone_first if self._is_guarded else 0
        self.scheduler = InstancePool(
            record.key, config, self._run_batch, self._max_rows, clock, self._watch
        )
        if runner.batching_obstacle and self._is_guarded:
            self._stop_batching(runner.batching_obstacle)

    @property
    def remark(self) -> str:
        """What whoever looks at the version should know, though it is ready; mostly nothing."""
        batching = f"batching off: {self.batching_off}" if self.batching_off else ""
        return "; ".join(filter(None, (self.runner.remark, batching)))

    @property
    def last_used(self) -> float:
        """When it last answered a request, or was opened: seconds of the monotonic clock."""
        return max(self.opened_at, self.statistics.last_answered_ns / 1e9)

    @property
    def has_answered(self) -> bool:
        """Whether it answered any request since it was opened."""
        return self.statistics.last_answered_ns / 1e9 > self.opened_at

    def plan_request(
        self,
        inputs: Sequence[TensorHeader],
        outputs: Sequence[str],
        options: Options = NO_OPTIONS,
    ) -> RequestPlan:
        """How a request with these headers and options runs here. Raises InvalidArgument."""
        record = self.record
        batching = record.config.batching
        plan = plan_request(
            record.model,
            record.signature,
            batching.max_batch_size,
            inputs,
            outputs,
            allow_larger=batching.allow_larger_requests,
        )
        return plan if options == NO_OPTIONS else with_options(record.signature, plan, options)

    def try_run_inline(self, requests: list[InferenceRequest], single_calls: int = 0) -> bool:
        """Run requests on the caller's thread, if the policy says so and nobody is ahead of them.

        So many calls in a row came one at a time. False: they must be queued; nothing happened.
        """
        runs = -(-len(requests) // self._max_rows)
        if not INLINE_POLICY.runs_inline(self._expected_ns, runs, single_calls):
            return False
        if not self.scheduler.acquire_inline():
            return False
        try:
            if len(requests) == 1:
                self._run_batch(requests)
                return True
            waiting = deque(requests)
            while waiting:
                self._run_batch(take(waiting, self._max_rows))
        finally:
            self.scheduler.release_inline()
        return True

    def close(self) -> None:
        """Finish what waits, then give the memory back. Blocks until then."""
        self.scheduler.stop()
        self.runner.close()

    def _run_batch(self, batch: list[InferenceRequest], ticket: Ticket | None = None) -> None:
        if len(batch) > 1 and (self.batching_off or self._alone_first > 0):
            self._run_untried(batch, ticket)
            return
        try:
            self._run_together(batch, ticket)
        except _RunEnded as ended:
            self._settle_ended(batch, ended.started_ns, ticket)
        except RowsDiffer as found:
            self._stop_batching(str(found))
            self._run_one_by_one(batch, ticket)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the fault of one request at most
            self._settle_failure(batch, error, ticket)

    def _run_together(self, batch: list[InferenceRequest], ticket: Ticket | None) -> None:
        started = self._now_ns()
        inputs = assemble(batch)
        assembled = self._now_ns()
        outputs = self._watched_run(batch, inputs, assembled)
        ran = self._now_ns()
        first_rows = _first_rows(batch)
        # A request that can share no run says nothing of those that can.
        if len(batch) > 1 or (self._is_guarded and batch[0].plan.batch_key is not None):
            self._guard(outputs, first_rows[-1], len(batch))
        result = BatchResult(batch, outputs, first_rows, (started, assembled, ran))
        if ticket is not None:
            ticket.wait()
        self._failures.length = 0
        self._answer(result)

    def _guard(self, outputs: Sequence[Array], rows: int, requests: int) -> None:
        """Raises RowsDiffer where the outputs of several requests cannot be told apart by their rows.

        A request that ran alone gets its outputs whatever they are; they may show that sharing is wrong.
        """
        try:
            check_rows(self.record.signature.outputs, outputs, rows)
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
            self._run_batch(rest, ticket)

    def _stop_batching(self, reason: str) -> None:
        """Run every request alone and as it is from now on, for as long as the version is loaded."""
        self.batching_off = self.batching_off or reason
        if not self.scheduler.stop_batching():
            return
        self._max_rows, self._allowed_sizes, self._is_guarded = 1, (), False
        self.statistics.set_max_rows(1)
        self.statistics.record_batching_disabled()
        logger.warning(
            "batching off for %s: %s", self.record.key, reason, extra={"version": self.record.key}
        )
        if self._remarked is not None:
            self._remarked()

    def _answer(self, result: BatchResult) -> None:
        """Send, then count what was sent: whoever has an answer and asks finds it counted, by the lock.

        Only sending tells whether a caller is still there. It comes last, too, because it wakes the threads
        of the front, which may want this core.
        """
        batch = result.requests
        encoded = []
        refused: dict[int, HeadraceError] = {}
        for sink, indexes in _by_sink(batch):
            answers, some = sink.encode(self, result, indexes)
            encoded.append((sink, indexes, answers))
            if some:
                refused.update(some)
        if refused:
            batch = [request for place, request in enumerate(batch) if place not in refused]
        times = (*result.times_ns, self._now_ns())
        self._expected_ns = INLINE_POLICY.expect(self._expected_ns, times[3] - times[0])
        statistics = self.statistics
        with statistics.lock:
            for sink, indexes, answers in encoded:
                try:
                    others = sink.deliver(answers)
                except Exception as error:  # noqa: BLE001  # perhaps some were sent: not to be run again
                    others = self._fail([result.requests[index] for index in indexes], error)
                if others:
                    gone = set(others)
                    batch = [request for request in batch if request not in gone]
            statistics.record_run(batch, result.first_rows[-1], times)
        for place, refusal in refused.items():
            result.requests[place].fail(refusal)

    def _fail(
        self, requests: Sequence[InferenceRequest], error: Exception
    ) -> Sequence[InferenceRequest]:
        failure = error_of(self.record.key, error)
        for request in requests:
            request.fail(failure)
        return requests

    def _watched_run(
        self, batch: list[InferenceRequest], inputs: list[Array], started_ns: int
    ) -> list[Array]:
        """Run so that the watch can end it. Raises RunFailed, and _RunEnded where the watch did."""
        try:
            handle = self._handles.pop()
        except IndexError:
            handle = self.runner.new_handle()
        # What is answered already runs no more: its caller's next request may be here before we return.
        is_only_request = len(batch) == 1 and not self._running and not self.scheduler.waiting
        self._running.append(handle)
        ticket = self._watch.begin(batch, handle, started_ns)
        run = self.runner.run_alone if is_only_request else self.runner.run
        try:
            if self._allowed_sizes:
                signature = self.record.signature
                return run_padded(run, inputs, handle, self._allowed_sizes, signature)
            return run(inputs, handle)
        except RunFailed:
            if handle.terminate:
                raise _RunEnded(started_ns) from None
            raise
        finally:
            self._running.remove(handle)
            if self._watch.end(ticket):
                self._handles.append(handle)

    def _settle_ended(
        self, batch: list[InferenceRequest], started_ns: int, ticket: Ticket | None
    ) -> None:
        """A batch that took too long is run again one by one: perhaps one of its requests alone does."""
        now = self._now_ns()
        again = [] if len(batch) == 1 else [one for one in batch if is_awaited(one, now)]
        for request in batch:
            if request not in again:
                request.fail(self._watch.error_for(request, started_ns, now))
        self._run_one_by_one(again, ticket)

    def _settle_failure(
        self, batch: list[InferenceRequest], error: Exception, ticket: Ticket | None
    ) -> None:
        """One bad request must fail alone: a batch that failed is run again, each request for itself."""
        if len(batch) > 1:
            logger.debug("a batch is run again one by one: %s", error)
            self._run_one_by_one(batch, ticket)
            return
        batch[0].fail(error_of(self.record.key, error))
        if isinstance(error, RunFailed):
            self._failures.add(error)

    def _run_one_by_one(self, batch: Sequence[InferenceRequest], ticket: Ticket | None) -> None:
        for request in batch:
            refusal = not_awaited(request, self._now_ns())
            if refusal is None:
                self._run_batch([request], ticket)
            else:
                request.fail(refusal)

    def _tell_broken(self, wrong: str) -> None:
        if self._broken is not None:
            self._broken(self, wrong)


def _first_rows(batch: Sequence[InferenceRequest]) -> Sequence[int]:
    if len(batch) == 1:
        return 0, batch[0].plan.rows
    return [0, *itertools.accumulate([request.plan.rows for request in batch])]


def _by_sink(batch: Sequence[InferenceRequest]) -> list[tuple[ResponseSink, Sequence[int]]]:
    first = batch[0].sink
    for request in batch:
        if request.sink is not first:
            break
    else:
        return [(first, range(len(batch)))]
    sinks: dict[int, tuple[Any, list[int]]] = {}
    for index, request in enumerate(batch):
        sinks.setdefault(id(request.sink), (request.sink, []))[1].append(index)
    return list(sinks.values())
