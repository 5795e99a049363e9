"""A traced request, to look at where its bucket stands out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A request of a version: how long it took, when it was answered, and where its trace is."""

    model: str
    version: int
    trace_id: int
    span_id: int
    duration_ns: int
    time_ns: int
