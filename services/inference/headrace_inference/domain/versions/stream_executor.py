"""Runs the requests of a version that answers each of them several times."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from headrace.errors import HeadraceError, Unimplemented
from headrace_inference.domain.scheduling.batching import assemble
from headrace_inference.domain.scheduling.ordering import Ticket
from headrace_inference.domain.scheduling.request_failures import error_of
from headrace_inference.domain.scheduling.requests import (
    InferenceRequest,
    PartialResult,
    StreamEnd,
)
from headrace_inference.domain.scheduling.runner import RunFailed, StreamingRunner
from headrace_inference.domain.scheduling.scheduler_factory import Workload
from headrace_inference.domain.schemas.passing import OutOfSchema, pass_door
from headrace_inference.domain.versions.batch_executor import Execution, RunEnded


class StreamExecutor:
    """Runs one request after the other, and delivers each response as soon as it is there."""

    max_rows = 1
    joins_larger = False
    expected_ns = float("inf")
    batching_off = ""

    def __init__(self, execution: Execution, runner: StreamingRunner) -> None:
        self._execution = execution
        self._runner = runner
        self._now_ns = execution.clock.monotonic_ns
        self.scheduler = execution.open_scheduler(
            execution.config,
            Workload(
                execution.record.key,
                self.max_rows,
                self.run,
                runner,
                execution.responder,
                execution.clock,
                execution.watchdog,
            ),
        )

    def run(self, batch: Sequence[InferenceRequest], ticket: Ticket | None = None) -> None:
        """Run these requests and end each of them, whatever happens."""
        if ticket is not None:
            ticket.wait()
        for request in batch:
            try:
                self._stream(request)
            except OutOfSchema as found:
                request.fail(found.refused[0])
            except RunEnded as ended:
                now = self._now_ns()
                request.fail(self._execution.watchdog.error_for(request, ended.started_ns, now))
            except Exception as error:  # noqa: BLE001  # it is this request's, which must hear of it
                request.fail(error_of(self._execution.record.key, error))
                if isinstance(error, RunFailed):
                    self._execution.failures.add(error)

    def _stream(self, request: InferenceRequest) -> None:
        if not request.sink.takes_parts:
            raise stream_required(self._execution.record.model)
        started = self._now_ns()
        inputs, first_rows = assemble([request]), (0, request.plan.rows)
        checks = self._execution.door.checks
        if checks is not None:
            pass_door(checks, [request], inputs, first_rows, self._execution.statistics)
        assembled = self._now_ns()
        handle, watchdog = self._runner.new_handle(), self._execution.watchdog
        run = watchdog.begin([request], handle, assembled)
        try:
            with closing(self._runner.stream(inputs, handle)) as responses:
                for outputs in responses:
                    times = (started, assembled, self._now_ns())
                    part = PartialResult([request], outputs, first_rows, times)
                    if handle.terminate or not self._execution.responder.respond_partly(part):
                        raise RunEnded(assembled)
        except RunFailed:
            if handle.terminate:
                raise RunEnded(assembled) from None
            raise
        finally:
            watchdog.end(run)
        self._execution.failures.length = 0
        times = (started, assembled, self._now_ns())
        self._execution.responder.respond(StreamEnd([request], (), first_rows, times, inputs))


def stream_required(model: str) -> HeadraceError:
    """Make the error of a request whose wire takes one response only."""
    return Unimplemented(
        "STREAM_REQUIRED",
        f"ModelInfer RPC doesn't support models with decoupled transaction policy: '{model}' answers a "
        "request several times; call it by ModelStreamInfer",
    )
