"""Metrics of a replica's traces."""

from __future__ import annotations

from collections.abc import Iterator

from headrace_inference.adapters.metrics.text import Family
from headrace_inference.domain.extensions.tracing import Tracer


class TraceMeter:
    """Reads how many traces were lost."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def families(self) -> Iterator[Family]:
        """Yield how many traces were dropped."""
        name, text = (
            "headrace_inference_dropped_traces_total",
            "Traces that were dropped, since writing them did not keep up",
        )
        family = Family(name, "counter", text)
        family.add(self._tracer.dropped)
        yield family
