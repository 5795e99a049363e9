"""Has a generative version answer: the calls of wires of text, and tensors in Triton's form."""

from __future__ import annotations

from functools import partial

from headrace.errors import HeadraceError
from headrace_inference.domain.generation.counted_sink import CountedSink
from headrace_inference.domain.generation.engine import GenerationEngine
from headrace_inference.domain.generation.requests import GenerationCall, Usage
from headrace_inference.domain.generation.runner import GenerativeRunner
from headrace_inference.domain.payloads.generations import follow_generation
from headrace_inference.domain.sampling.rows import ANSWER, PROMPT
from headrace_inference.domain.scheduling.queue_refusals import unloading
from headrace_inference.domain.scheduling.requests import InferenceRequest
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.versions.batch_executor import Execution
from headrace_inference.domain.versions.tensor_generation import TensorGeneration, generation_call
from headrace_inference.domain.versions.text_scheduler import TextScheduler


class GenerationExecutor:
    """Hands calls to the version's engine, and counts what becomes of them."""

    max_rows = 1
    joins_larger = False
    expected_ns = float("inf")
    batching_off = ""

    def __init__(self, execution: Execution, runner: GenerativeRunner) -> None:
        self._execution = execution
        self.model = runner.start(execution.watchdog, execution.failures.tell_broken)
        self._engine = self.model.engine
        execution.statistics.follow_runs(lambda: self._engine.load.busy_ns)
        self._scheduler = TextScheduler(
            execution.record.key, self._hand_over, _Engine(self._engine), execution.watchdog
        )
        self.scheduler = self._scheduler

    def generate(self, call: GenerationCall) -> None:
        """Have a call run. Raises HeadraceError, where it is refused, and SchedulerStopped."""
        if self._execution.payloads is not None:
            decode = partial(self.model.codec.decode, skip_special_tokens=False)
            follow_generation(self._execution.payloads, self._execution.record, call, decode)
        call.sink = CountedSink(
            call, self._execution.statistics.generation, self._execution.clock, self._is_over
        )
        self._scheduler.began(call)
        try:
            self._engine.submit(call)
        except (HeadraceError, SchedulerStopped):
            self._scheduler.is_over(call)
            raise

    def run(self, batch: list[InferenceRequest]) -> None:
        """Never called: nothing runs inline."""
        raise AssertionError(batch)

    def _hand_over(self, request: InferenceRequest) -> None:
        """Make a call of a request in tensors, and have it run."""
        execution = self._execution
        call = generation_call(self.model, execution.responder, execution.clock, request)
        try:
            self.generate(call)
        except SchedulerStopped:  # it was taken before that: nobody else answers it
            raise unloading() from None

    def _is_over(self, call: GenerationCall, error: HeadraceError | None, usage: Usage) -> None:
        execution = self._execution
        if error is None and execution.sampler is not None:
            lengths = {PROMPT: usage.prompt_tokens, ANSWER: usage.completion_tokens}
            with execution.statistics.lock:
                execution.sampler.look_at_lengths(lengths, call.route, call.asked)
        if error is None and not isinstance(call, TensorGeneration):  # its responder counts its run
            began, now = call.started_ns, execution.clock.monotonic_ns()
            with execution.statistics.lock:
                execution.statistics.record_run((), 1, (began, began, now, now))
        self._scheduler.is_over(call)


class _Engine:
    """An engine as the scheduler of tensors sees it."""

    def __init__(self, engine: GenerationEngine) -> None:
        self._engine = engine

    @property
    def waiting(self) -> int:
        return self._engine.load.waiting

    def wake(self) -> None:
        self._engine.wake()

    def stop(self) -> None:
        self._engine.stop()
