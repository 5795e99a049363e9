"""Answers in time at twice the capacity, by the decisions alone: arrivals and runs in made-up time."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from headrace.state.records import ServingConfig
from headrace_inference.domain.scheduling.admission import Admission
from headrace_inference.domain.scheduling.batching import share, take
from headrace_inference.domain.scheduling.queues import open_queue
from headrace_inference.domain.scheduling.requests import InferenceRequest, RequestPlan
from headrace_inference.domain.versions.statistics import VersionCounters
from tests.unit.inference.doubles import FakeClock, RecordingSink

PLAN = RequestPlan((0,), ((1, 2),), (np.dtype(np.float32),), (8,), 1, "key", (0,))
REQUESTS = 4000
Run = tuple[list[InferenceRequest], int, bool]
"""A batch, how long it takes, and whether it left others waiting."""


@dataclass
class Overload:
    """Requests that come twice as fast as the model answers, each with a deadline or none."""

    run_ms: float
    row_ms: float
    max_rows: int
    instances: int
    deadline_ms: int | None
    good: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(0))
    _events: list[tuple[int, int, Run | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        run_seconds = (self.run_ms + self.row_ms * self.max_rows) / 1000
        self.capacity = self.instances * self.max_rows / run_seconds
        self.seconds = REQUESTS / self.capacity / 2
        self._queue = open_queue(ServingConfig(), FakeClock())
        self._admission = Admission(ServingConfig(instances=self.instances), self.max_rows)
        self._free = self.instances

    def goodput(self) -> float:
        """The answers in time of the second half, as a part of the capacity."""
        at = 0.0
        while (at := at + self._random.expovariate(2 * self.capacity)) < self.seconds:
            self._add(int(at * 1e9), None)
        while self._events and self._events[0][0] < self.seconds * 1e9:
            now, _, run = heapq.heappop(self._events)
            if run is None:
                self._arrive(now)
            else:
                self._end(now, run)
            while self._free and len(self._queue):
                self._begin(now)
        return self.good / (self.capacity * self.seconds / 2)

    def _add(self, at: int, run: Run | None) -> None:
        heapq.heappush(self._events, (at, len(self._events) + self._random.getrandbits(40), run))

    def _arrive(self, now: int) -> None:
        deadline_ns = None if self.deadline_ms is None else now + self.deadline_ms * 1_000_000
        counters, sink = VersionCounters(), RecordingSink()
        request = InferenceRequest(PLAN, [b""], "", now, deadline_ns, counters, sink, None)
        kept, _ = self._admission.sift([request], self._queue, len(self._queue), now)
        self._queue.put(kept)

    def _begin(self, now: int) -> None:
        queue, admission = self._queue, self._admission
        if len(queue) > admission.short_rows:
            admission.take_hopeless(queue, len(queue), now)
        most = share(len(queue), self._free, self.max_rows)
        if len(queue) > admission.short_rows:
            most = admission.most_rows(queue[0], most)
        batch = take(queue, most)
        if awaited := [one for one in batch if one.deadline_ns is None or now <= one.deadline_ns]:
            noise = max(0.3, self._random.gauss(1, 0.1))
            took = int((self.run_ms + self.row_ms * len(awaited)) * 1_000_000 * noise)
            self._free -= 1
            self._add(now + took, (awaited, took, len(queue) > 0))

    def _end(self, now: int, run: Run) -> None:
        batch, took, left_waiting = run
        self._free += 1
        self._admission.record_run(len(batch), took, now, left_waiting=left_waiting)
        if now > self.seconds * 5e8:
            self.good += sum(one.deadline_ns is None or now <= one.deadline_ns for one in batch)


@pytest.mark.parametrize("deadline_ms", [1000, None])
@pytest.mark.parametrize(
    ("run_ms", "row_ms", "max_rows", "instances"),
    [
        pytest.param(5, 78, 1, 1, id="an encoder that runs 12 a second"),
        pytest.param(5, 155, 1, 2, id="two instances"),
        pytest.param(10, 3, 64, 2, id="large batches"),
        pytest.param(50, 12, 64, 1, id="batches that take nearly as long as a deadline"),
    ],
)
def test_goodput_at_twice_the_capacity(
    run_ms: float, row_ms: float, max_rows: int, instances: int, deadline_ms: int | None
) -> None:
    """Nine tenths of what the model can answer is answered in time."""
    overload = Overload(run_ms, row_ms, max_rows, instances, deadline_ms)
    assert overload.goodput() >= 0.9
