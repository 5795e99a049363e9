"""Puts examples of rows into reports, after the profiles whose bins they are in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headrace.monitor.v1 import telemetry_pb2
from headrace_inference.adapters.profile_reports import INTERVAL_NS, PHASE_NS
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.sampling.row_examples import RowExample, RowExamples


class ExampleReports:
    """Makes messages of examples, on the thread that looks at rows, every ten seconds."""

    def __init__(
        self,
        examples: RowExamples,
        clock: Clock,
        add: Callable[[Sequence[telemetry_pb2.RowExample]], None],
    ) -> None:
        self._examples, self._clock, self._add = examples, clock, add
        self._interval = self._present()

    def report_if_due(self) -> None:
        """Tell what was kept, if ten seconds are over."""
        if self._present() != self._interval:
            self.report()

    def report(self) -> None:
        """Tell what was kept since this was last called."""
        self._interval = self._present()
        self._add([_message(each) for each in self._examples.examples()])

    def _present(self) -> int:
        return (self._clock.wall_ns() - PHASE_NS) // INTERVAL_NS


def _message(example: RowExample) -> telemetry_pb2.RowExample:
    message = telemetry_pb2.RowExample(
        model=example.record.model,
        version=example.record.number,
        reference=example.reference,
        request_id=example.request.id,
        row=example.row,
        slices=example.request.slices,
        bins=example.bins,
        values=example.values,
    )
    message.time.FromNanoseconds(example.answered_ns)
    return message
