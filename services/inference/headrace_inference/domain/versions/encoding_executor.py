"""Has a version that embeds or reranks answer: the calls of wires of text, and texts in tensors."""

from __future__ import annotations

from headrace.errors import HeadraceError
from headrace_inference.domain.encoding.requests import Encoder, EncodingCall
from headrace_inference.domain.encoding.runner import EncoderRunner
from headrace_inference.domain.scheduling.queue_refusals import unloading
from headrace_inference.domain.scheduling.requests import InferenceRequest
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.versions.batch_executor import Execution
from headrace_inference.domain.versions.counted_encoding import CountedEncoding
from headrace_inference.domain.versions.tensor_encoding import TensorEncoding, encoding_call
from headrace_inference.domain.versions.text_scheduler import TextScheduler


class EncodingExecutor:
    """Hands calls to the version's encoder, and counts their runs."""

    max_rows = 1
    joins_larger = False
    expected_ns = float("inf")
    batching_off = ""

    def __init__(self, execution: Execution, runner: EncoderRunner) -> None:
        self._execution = execution
        self.model = runner.start_encoder(execution.watchdog)
        execution.statistics.follow_runs(lambda: self.model.encoder.busy_ns)
        self._scheduler = TextScheduler(
            execution.record.key, self._hand_over, _Encoder(self.model.encoder), execution.watchdog
        )
        self.scheduler = self._scheduler

    def encode(self, call: EncodingCall) -> None:
        """Have a call run. Raises HeadraceError, where it is refused, and SchedulerStopped."""
        call.sink = CountedEncoding(
            call,
            self._execution,
            self._scheduler.is_over,
            counts_run=not isinstance(call, TensorEncoding),  # its responder counts that
        )
        self._scheduler.began(call)
        try:
            self.model.encoder.submit(call)
        except (HeadraceError, SchedulerStopped):
            self._scheduler.is_over(call)
            raise

    def run(self, batch: list[InferenceRequest]) -> None:
        """Never called: nothing runs inline."""
        raise AssertionError(batch)

    def _hand_over(self, request: InferenceRequest) -> None:
        execution = self._execution
        call = encoding_call(
            self.model, execution.record.key, execution.responder, execution.clock, request
        )
        try:
            self.encode(call)
        except SchedulerStopped:  # it was taken before that: nobody else answers it
            raise unloading() from None


class _Encoder:
    """An encoder as the scheduler of tensors sees it. It looks at what nobody waits for by itself."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def waiting(self) -> int:
        return self._encoder.waiting

    def wake(self) -> None:
        """Nothing waits for long."""

    def stop(self) -> None:
        self._encoder.stop()
