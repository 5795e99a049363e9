"""A version that is loaded: its session, its instances, its statistics."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from headrace.state.records import VersionRecord
from headrace_inference.domain.clock import Clock, monotonic_seconds
from headrace_inference.domain.encoding.requests import EncodingCall
from headrace_inference.domain.encoding.runner import EncoderRunner
from headrace_inference.domain.generation.requests import GenerationCall
from headrace_inference.domain.generation.runner import GenerativeRunner
from headrace_inference.domain.payloads.taking import PayloadTaker
from headrace_inference.domain.sampling.sampler import Sampler
from headrace_inference.domain.scheduling.batching import rows_of_quick_run, take
from headrace_inference.domain.scheduling.failure_detector import FailureStreak
from headrace_inference.domain.scheduling.inline_policy import INLINE_POLICY
from headrace_inference.domain.scheduling.requests import (
    BACKGROUND,
    NO_OPTIONS,
    InferenceRequest,
    Options,
    Parameter,
    RequestPlan,
    TensorHeader,
)
from headrace_inference.domain.scheduling.response_cache import (
    BoundedCache,
    FrameKey,
    JsonFrame,
    JsonKey,
    RenderedKey,
    ResponseFrame,
)
from headrace_inference.domain.scheduling.runner import Runner, StreamingRunner
from headrace_inference.domain.scheduling.scheduler import Scheduler
from headrace_inference.domain.scheduling.scheduler_factory import OpenScheduler, open_scheduler
from headrace_inference.domain.scheduling.watchdog import RunWatchdog
from headrace_inference.domain.schemas.doors import SchemaDoor
from headrace_inference.domain.versions.batch_executor import ALONE_FIRST, BatchExecutor, Execution
from headrace_inference.domain.versions.encoding_executor import EncodingExecutor
from headrace_inference.domain.versions.generation_executor import GenerationExecutor
from headrace_inference.domain.versions.leases import VersionLeases
from headrace_inference.domain.versions.request_validation import plan_request, with_options
from headrace_inference.domain.versions.responder import Responder
from headrace_inference.domain.versions.statistics import VersionCounters
from headrace_inference.domain.versions.stream_executor import StreamExecutor

logger = logging.getLogger(__name__)

_ids = itertools.count(1)

Broken = Callable[["LoadedVersion", str], None]
"""Called with a version that cannot run any more, and why."""


class LoadedVersion:
    """One version, ready to answer. `close` drains it.

    `response_frames`, `rendered_heads` and `json_frames` belong to whoever encodes its answers.
    `broken` and `remarked`, which is called when there is another `remark`, are called from any thread.
    """

    def __init__(
        self,
        record: VersionRecord,
        runner: Runner,
        statistics: VersionCounters,
        clock: Clock,
        watchdog: RunWatchdog | None = None,
        broken: Broken | None = None,
        alone_first: int = ALONE_FIRST,
        remarked: Callable[[], None] = lambda: None,
        open_scheduler: OpenScheduler = open_scheduler,
        sampler: Sampler | None = None,
        door: SchemaDoor | None = None,
        payloads: PayloadTaker | None = None,
    ) -> None:
        self.id = next(_ids)
        self.clock = clock
        self.opened_at = monotonic_seconds(clock)
        self.record = record
        self.runner = runner
        self.statistics = statistics
        self.response_frames: BoundedCache[FrameKey, ResponseFrame] = BoundedCache()
        self.rendered_heads: BoundedCache[RenderedKey, bytes] = BoundedCache()
        self.json_frames: BoundedCache[JsonKey, JsonFrame] = BoundedCache()
        self.version_text = str(record.number)
        config = runner.plan.applied_to(record.config)
        self.effective_record = replace(record, config=config)
        """The version with what was chosen here, where its config leaves that open."""
        self._broken = broken
        self.door = door or SchemaDoor()
        """What is enforced of its data at present."""
        self._sampler = (
            None if sampler is None else sampler.open(record, runner.labels, statistics.lock)
        )
        self._executor = executor_for(
            Execution(
                record,
                config,
                runner,
                statistics,
                clock,
                watchdog or RunWatchdog(clock),
                self._responder(payloads),
                FailureStreak(runner.probe, self._tell_broken),
                remarked,
                open_scheduler,
                self._sampler,
                self.door,
                payloads,
            ),
            alone_first,
        )
        self.scheduler: Scheduler = self._executor.scheduler
        self.leases = VersionLeases()
        """Of those who must not lose it in the middle of something."""
        executor = self._executor
        self.generative = executor.model if isinstance(executor, GenerationExecutor) else None
        self.encoder = executor.model if isinstance(executor, EncodingExecutor) else None

    def _responder(self, payloads: PayloadTaker | None) -> Responder:
        """Answers requests, and shows rows and payloads to those who look at them.

        Of generations their executor shows lengths and texts.
        """
        if isinstance(self.runner, GenerativeRunner):
            self.statistics.failure_log = None
            return Responder(self, self.statistics, None, None)
        log = payloads.of(self.record) if payloads is not None else None
        self.statistics.failure_log = None if log is None else log.take_failed
        return Responder(self, self.statistics, self._sampler, log)

    @property
    def labels(self) -> Mapping[str, Sequence[bytes]]:
        """Return the names of the classes of outputs, where it has files of them."""
        return self.runner.labels

    @property
    def batching_off(self) -> str:
        """Tell why requests share no run here although the config lets them; empty: they may."""
        return self._executor.batching_off

    @property
    def remark(self) -> str:
        """Tell what is unusual about the version, though it is ready; mostly nothing."""
        batching = f"batching off: {self.batching_off}" if self.batching_off else ""
        return "; ".join(filter(None, (self.runner.remark, batching)))

    @property
    def last_used(self) -> float:
        """Return when it last answered a request, or was opened: seconds of the monotonic clock."""
        return max(self.opened_at, self.statistics.last_answered_ns / 1e9)

    @property
    def has_answered(self) -> bool:
        """Tell whether it answered any request since it was opened."""
        return self.statistics.last_answered_ns / 1e9 > self.opened_at

    def plan_request(
        self,
        inputs: Sequence[TensorHeader],
        outputs: Sequence[str],
        options: Options = NO_OPTIONS,
        parameters: Mapping[str, Parameter] | None = None,
    ) -> RequestPlan:
        """Plan how a request with these headers and options runs here. Raises InvalidArgument.

        Its parameters say nothing to a version of tensors.
        """
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
        if parameters and self.generative is not None:
            plan = replace(plan, parameters=parameters)
        if options == NO_OPTIONS:
            return plan
        if options.priority == BACKGROUND:
            self.scheduler.open_background()
        return with_options(record.signature, plan, options)

    @property
    def in_flight(self) -> int:
        """Count those whom it has yet to answer, or who are in the middle of something with it."""
        return self.scheduler.in_flight + self.leases.count

    def generate(self, call: GenerationCall) -> None:
        """Have a generative version run a call.

        Raises SchedulerStopped, and HeadraceError where it takes no more.
        """
        assert isinstance(self._executor, GenerationExecutor), "it generates nothing"
        self._executor.generate(call)

    def encode(self, call: EncodingCall) -> None:
        """Have a version that embeds or reranks run a call. Raises as `generate` does."""
        assert isinstance(self._executor, EncodingExecutor), "it encodes nothing"
        self._executor.encode(call)

    def try_run_inline(self, requests: list[InferenceRequest], single_calls: int = 0) -> bool:
        """Run requests on the caller's thread, if the policy says so and nobody is ahead of them.

        So many calls in a row came one at a time. False: they must be queued; nothing happened.
        """
        executor = self._executor
        runs = -(-len(requests) // executor.max_rows)
        if not INLINE_POLICY.runs_inline(executor.expected_ns, runs, single_calls):
            return False
        if requests[0].plan.priority == BACKGROUND:  # others are received meanwhile
            return False
        if not self.scheduler.acquire_inline():
            return False
        try:
            if len(requests) == 1:
                executor.run(requests)
                return True
            waiting = deque(requests)
            while waiting:
                most = executor.max_rows
                if executor.joins_larger and waiting[0].plan.rows > 1:
                    most = rows_of_quick_run(waiting[0].plan, most)
                executor.run(take(waiting, most))
        finally:
            self.scheduler.release_inline()
        return True

    def close(self) -> None:
        """Finish what waits, then give the memory back. Blocks until then."""
        self.leases.close()
        self.scheduler.stop()
        if self._sampler is not None:
            self._sampler.is_closed = True
        self.runner.close()

    def _tell_broken(self, wrong: str) -> None:
        if self._broken is not None:
            self._broken(self, wrong)


Executor = BatchExecutor | StreamExecutor | GenerationExecutor | EncodingExecutor


def executor_for(execution: Execution, alone_first: int) -> Executor:
    """Open what executes a version's requests, by how its runner answers them."""
    if isinstance(execution.runner, GenerativeRunner):
        return GenerationExecutor(execution, execution.runner)
    if isinstance(execution.runner, EncoderRunner):
        return EncodingExecutor(execution, execution.runner)
    if isinstance(execution.runner, StreamingRunner):
        return StreamExecutor(execution, execution.runner)
    return BatchExecutor(execution, alone_first)
