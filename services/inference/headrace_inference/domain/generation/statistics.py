"""Counts what a generative version does on this replica: tokens, their times, and how answers end."""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from headrace.telemetry.histogram import Histogram

MAX_BUFFERED = 4096
"""Gaps between tokens that are kept uncounted at most, of each route."""


@dataclass(slots=True)
class GenerationCounts:
    """The counts of a route in a span of time. Spans add up; durations are nanoseconds."""

    calls: int = 0
    """Generations that ended, however they did."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Those of prompts that were not computed again."""
    prefix_hits: int = 0
    """Generations of which some of the prompt was not computed again."""
    completion_tokens: int = 0
    put_off: int = 0
    """How often sequences gave way to others, since the KV cache was full, and waited again."""
    finished: Counter[str] = field(default_factory=Counter)
    """Choices by why they ended: `stop`, `length`; generations that failed by `abort` or `error`."""
    first_token: Histogram = field(default_factory=Histogram)
    """From reception to the first token."""
    between_tokens: Histogram = field(default_factory=Histogram)
    """From one token of a choice to its next."""
    queue: Histogram = field(default_factory=Histogram)
    """From reception until the prompt began to be read."""
    prefill: Histogram = field(default_factory=Histogram)
    """From then to the first token."""
    decode: Histogram = field(default_factory=Histogram)
    """From the first token to the end."""
    total: Histogram = field(default_factory=Histogram)
    """From reception to the end."""

    @property
    def idle(self) -> bool:
        """True where nothing happened."""
        return not (self.calls or self.finished or self.between_tokens.count)

    def add(self, other: GenerationCounts) -> None:
        """Add another span."""
        self.calls += other.calls
        self.prompt_tokens += other.prompt_tokens
        self.cached_tokens += other.cached_tokens
        self.prefix_hits += other.prefix_hits
        self.completion_tokens += other.completion_tokens
        self.put_off += other.put_off
        self.finished.update(other.finished)
        self.first_token.merge(other.first_token)
        self.between_tokens.merge(other.between_tokens)
        self.queue.merge(other.queue)
        self.prefill.merge(other.prefill)
        self.decode.merge(other.decode)
        self.total.merge(other.total)


@dataclass(frozen=True, slots=True)
class EndedGeneration:
    """A generation that ended. Times are monotonic nanoseconds, 0 where that never came."""

    route: str
    received_ns: int
    started_ns: int
    first_token_ns: int
    ended_ns: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    put_off: int = 0
    """How often its sequences gave way to others."""


class GenerationCounters:
    """The counts of one version by route: news since last asked, and totals. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: dict[str, GenerationCounts] = {}
        self._totals: dict[str, GenerationCounts] = {}
        self._gaps: dict[str, array[int]] = {}
        """Of each route: gaps that are not in its histogram yet, each with how many tokens had it."""

    def record_gap(self, route: str, gap_ns: int, tokens: int) -> None:
        """So many tokens came this much after the one before each."""
        with self._lock:
            gaps = self._gaps.setdefault(route, array("q"))
            gaps.extend((gap_ns, tokens))
            if len(gaps) >= MAX_BUFFERED:
                self._count()

    def record_finish(self, route: str, reason: str) -> None:
        """A choice ended, or a generation failed."""
        with self._lock:
            self._of(route).finished[reason] += 1

    def record_end(self, ended: EndedGeneration) -> None:
        """A generation ended."""
        with self._lock:
            counts = self._of(ended.route)
            counts.calls += 1
            counts.prompt_tokens += ended.prompt_tokens
            counts.cached_tokens += ended.cached_tokens
            counts.prefix_hits += ended.cached_tokens > 0
            counts.completion_tokens += ended.completion_tokens
            counts.put_off += ended.put_off
            counts.total.record_one(ended.ended_ns - ended.received_ns)
            if ended.started_ns:
                counts.queue.record_one(max(0, ended.started_ns - ended.received_ns))
            if ended.first_token_ns:
                counts.first_token.record_one(ended.first_token_ns - ended.received_ns)
                counts.prefill.record_one(max(0, ended.first_token_ns - ended.started_ns))
                counts.decode.record_one(ended.ended_ns - ended.first_token_ns)

    def drain(self) -> dict[str, GenerationCounts]:
        """Return what happened since this was last called, by route; it is in the totals from now on."""
        with self._lock:
            self._count()
            new, self._new = self._new, {}
            for route, counts in new.items():
                self._totals.setdefault(route, GenerationCounts()).add(counts)
        return new

    def totals(self) -> dict[str, GenerationCounts]:
        """Everything since this replica started, by route: a copy."""
        with self._lock:
            self._count()
            totals: dict[str, GenerationCounts] = {}
            for spans in (self._totals, self._new):
                for route, counts in spans.items():
                    totals.setdefault(route, GenerationCounts()).add(counts)
        return totals

    def _of(self, route: str) -> GenerationCounts:
        return self._new.setdefault(route, GenerationCounts())

    def _count(self) -> None:
        """Count the gaps that are kept; the lock is held."""
        for route, gaps in self._gaps.items():
            if gaps:
                pairs = np.array(gaps, dtype=np.int64).reshape(-1, 2)
                self._of(route).between_tokens.record(pairs[:, 0], pairs[:, 1])
        self._gaps = {}


def of_all_routes(counts: Mapping[str, GenerationCounts]) -> GenerationCounts:
    """Add up the counts of all routes."""
    total = GenerationCounts()
    for each in counts.values():
        total.add(each)
    return total
