"""A version that is loaded: its session, its instances, its statistics."""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from headrace.errors import HeadraceError, Internal, InvalidArgument
from headrace.state.records import VersionRecord
from headrace_inference.domain.batching import assemble, take
from headrace_inference.domain.checks import plan_request, with_options
from headrace_inference.domain.failure_streak import FailureStreak
from headrace_inference.domain.padding import padded_run
from headrace_inference.domain.pool import InstancePool
from headrace_inference.domain.requests import (
    NO_OPTIONS,
    Array,
    BatchResult,
    Options,
    Pending,
    Plan,
    Sink,
    TensorHeader,
)
from headrace_inference.domain.run_watch import RunHandle, RunWatch
from headrace_inference.domain.runner import InputsRefused, RunFailed, Runner
from headrace_inference.domain.statistics import VersionStatistics
from headrace_inference.domain.turns import Turn

__all__ = ["RunFailed", "Runner", "ServedVersion"]

logger = logging.getLogger(__name__)

_ids = itertools.count(1)

QUICK_NS = 250_000
"""Runs that are expected to take at most this may be run by the thread that received them."""

BURST_NS = 1_000_000
"""And so may bursts, whose runs take no longer together."""

QUIET_NS = BURST_NS
"""And so may a lone request while it is quiet: nobody else is likely to call meanwhile."""


Broken = Callable[["ServedVersion", str], None]
"""Called, from any thread, with a version that cannot run any more, and why."""


class _RunEnded(Exception):
    """The watch ended the run that began at `started_ns`."""

    def __init__(self, started_ns: int) -> None:
        self.started_ns = started_ns


class ServedVersion:
    """One version, ready to answer. `close` drains it.

    `memo` is the edges' to keep what depends on this version alone, such as the heads of its answers.
    """

    def __init__(
        self,
        record: VersionRecord,
        runner: Runner,
        statistics: VersionStatistics,
        watch: RunWatch | None = None,
        broken: Broken | None = None,
    ) -> None:
        self.id = next(_ids)
        self.record = record
        self.runner = runner
        self.statistics = statistics
        self.memo: dict[Any, Any] = {}
        self.version_text = str(record.number)
        config = runner.plan.applied_to(record.config)
        self.as_run = replace(record, config=config)
        """The version with what was chosen here, where its config leaves that open."""
        self._max_rows = runner.plan.most_rows(config)
        self._expected_ns = float("inf")
        self._watch = watch or RunWatch()
        self._handles: list[RunHandle] = []
        self._failures = FailureStreak(runner.probe, self._tell_broken)
        self._broken = broken
        allowed = config.batching.allowed_batch_sizes
        self._run, self._run_alone = (
            padded_run(run, allowed, len(record.signature.inputs)) if allowed else run
            for run in (runner.run, runner.run_alone)
        )
        self._under_way: list[RunHandle] = []
        self.pool = InstancePool(record.key, config, self._run_batch, self._max_rows)
        self._watch.add(self.pool)

    def plan(
        self,
        inputs: Sequence[TensorHeader],
        outputs: Sequence[str],
        options: Options = NO_OPTIONS,
    ) -> Plan:
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

    def run_at_once(self, requests: list[Pending], most_ns: int = QUICK_NS) -> bool:
        """Run requests on the caller's thread if a run takes at most so long and nobody is ahead of them.

        For a model whose runs take microseconds, waking an instance costs more than the run. False: they
        must be queued; nothing happened.
        """
        batches = -(-len(requests) // self._max_rows)
        if self._expected_ns > min(most_ns, BURST_NS // batches) or not self.pool.enter():
            return False
        try:
            if len(requests) == 1:
                self._run_batch(requests)
                return True
            waiting = deque(requests)
            while waiting:
                self._run_batch(take(waiting, self._max_rows))
        finally:
            self.pool.leave()
        return True

    def close(self) -> None:
        """Finish what waits, then give the memory back. Blocks until then."""
        self.pool.close()
        self._watch.remove(self.pool)
        self.runner.close()

    def _run_batch(self, batch: list[Pending], turn: Turn | None = None) -> None:
        try:
            self._run_together(batch, turn)
        except _RunEnded as ended:
            self._settle_ended(batch, ended.started_ns)
        except RunFailed as error:
            self._settle_failure(batch, error, turn)
        except Exception:
            logger.exception("a bug ended a run", extra={"version": self.record.key})
            self._fail(
                batch, Internal("INTERNAL", "the run failed; the replica's log has the details")
            )

    def _run_together(self, batch: list[Pending], turn: Turn | None) -> None:
        started = time.monotonic_ns()
        inputs = assemble(batch)
        assembled = time.monotonic_ns()
        outputs = self._watched_run(batch, inputs, assembled)
        ran = time.monotonic_ns()
        result = BatchResult(batch, outputs, _first_rows(batch), (started, assembled, ran))
        self._check_rows(result)
        if turn is not None:
            turn.wait()
        self._failures.length = 0
        self._answer(result)

    def _answer(self, result: BatchResult) -> None:
        """Count before sending: whoever has an answer and asks finds it counted.

        Sending comes last, too, because it wakes the threads of the front, which may want this core.
        """
        batch = result.requests
        prepared = [
            (sink, sink.prepare(self, result, indexes)) for sink, indexes in _by_sink(batch)
        ]
        refused = [place for _, (_, places) in prepared for place in places]
        if refused:
            batch = [request for place, request in enumerate(batch) if place not in refused]
        times = (*result.times_ns, time.monotonic_ns())
        self._learn(times[3] - times[0])
        self.statistics.record_run(batch, result.first_rows[-1], times)
        for sink, (answers, _) in prepared:
            sink.send(answers)

    def _watched_run(
        self, batch: list[Pending], inputs: list[Array], started_ns: int
    ) -> list[Array]:
        """Run so that the watch can end it. Raises RunFailed, and _RunEnded where the watch did."""
        try:
            handle = self._handles.pop()
        except IndexError:
            handle = self.runner.new_handle()
        # What is answered already runs no more: its caller's next request may be here before we return.
        is_alone = len(batch) == 1 and not self._under_way and not self.pool.waiting
        self._under_way.append(handle)
        ticket = self._watch.begin(batch, handle, started_ns)
        try:
            return (self._run_alone if is_alone else self._run)(inputs, handle)
        except RunFailed:
            if handle.terminate:
                raise _RunEnded(started_ns) from None
            raise
        finally:
            self._under_way.remove(handle)
            if self._watch.end(ticket):
                self._handles.append(handle)

    def _learn(self, took_ns: int) -> None:
        """Expect of the next run what the last ones took, up to their answers: a mean that moves slowly.

        A run that waited for the interpreter is no slow run; several slow ones in a row are.
        """
        expected = min(self._expected_ns, 10.0 * QUICK_NS)
        self._expected_ns = expected + (min(took_ns, 8 * expected) - expected) / 8

    def _check_rows(self, result: BatchResult) -> None:
        """A graph whose outputs do not follow its batch dimension must not hand rows to strangers."""
        if len(result.requests) == 1:
            return
        rows = result.first_rows[-1]
        for spec, output in zip(self.record.signature.outputs, result.outputs, strict=True):
            if output.ndim == 0 or output.shape[0] != rows:
                raise RunFailed(
                    f"output '{spec.name}' has shape {list(output.shape)} for a batch of {rows} rows: "
                    "the model's first dimension is no batch dimension"
                )

    def _settle_ended(self, batch: list[Pending], started_ns: int) -> None:
        now = time.monotonic_ns()
        for request in batch:
            request.fail(self._watch.error_for(request, started_ns, now))

    def _settle_failure(self, batch: list[Pending], error: RunFailed, turn: Turn | None) -> None:
        """One bad request must fail alone: a batch that failed is run again, each request for itself."""
        if len(batch) > 1:
            for request in batch:
                self._run_batch([request], turn)
            return
        self._fail(batch, _failure(self.record.key, error))
        self._failures.add(error)

    def _tell_broken(self, wrong: str) -> None:
        if self._broken is not None:
            self._broken(self, wrong)

    def _fail(self, batch: list[Pending], error: HeadraceError) -> None:
        for request in batch:
            request.fail(error)


def _failure(version: str, error: RunFailed) -> HeadraceError:
    text, facts = f"onnx runtime error: {error}", {"version": version}
    if isinstance(error, InputsRefused):
        return InvalidArgument("INPUTS_REFUSED", text, facts=facts)
    return Internal("RUN_FAILED", text, facts=facts)


def _first_rows(batch: Sequence[Pending]) -> Sequence[int]:
    if len(batch) == 1:
        return 0, batch[0].plan.rows
    return [0, *itertools.accumulate([request.plan.rows for request in batch])]


def _by_sink(batch: Sequence[Pending]) -> list[tuple[Sink, Sequence[int]]]:
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
