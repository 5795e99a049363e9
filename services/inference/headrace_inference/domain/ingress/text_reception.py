"""Calls of text from their reception to their end, which may be traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from headrace.errors import HeadraceError
from headrace_inference.domain.extensions.trace_records import RequestFacts
from headrace_inference.domain.extensions.tracing import CallTrace, Rule, Tracer
from headrace_inference.domain.ingress.receptions import Reception, known_error
from headrace_inference.domain.versions.statistics import RunTimes


class TextReception(Reception):
    """A reception that tells a trace how it ended: with the times of its run, or with an error."""

    __slots__ = ("_tell",)

    _tell: Callable[[RunTimes | tuple[()], HeadraceError | None], None]

    def trace(self, tracer: Tracer, rule: Rule | None, facts: RequestFacts) -> None:
        """Have its end traced."""
        clock, received_ns = self._receptions.clock, self.received_ns

        def tell(times: RunTimes | tuple[()], error: HeadraceError | None) -> None:
            tracer.keep(rule, CallTrace(facts, received_ns, times, error), clock)

        self._tell = tell

    def answered(self) -> None:
        """Its answer is about to be sent. Raises DeadlineExceeded."""
        had_ended, run = self.ended, self.run
        super().answered()
        if not had_ended:
            self._told(run[1] if run is not None else (), None)

    def failed(self, error: Exception) -> None:
        """Its caller is told this error."""
        had_ended = self.ended
        super().failed(error)
        if not had_ended:
            self._told((), known_error(error))

    def _told(self, times: RunTimes | tuple[()], error: HeadraceError | None) -> None:
        tell = getattr(self, "_tell", None)
        if tell is not None:
            tell(times, error)


def traced_wire(wire: str) -> Literal["grpc", "http"]:
    """The kind of headers that a wire has."""
    return "grpc" if wire == "grpc" else "http"
