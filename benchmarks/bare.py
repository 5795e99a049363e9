"""ONNX Runtime in a loop without any network: the most that a server could reach."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.models import Measured

BATCH_SIZES = (1, 2, 4, 8, 16, 64)
SEARCHES = 3
"""How often every combination is tried: the best of many single tries would be the luckiest."""

WARM_UP_RUNS = 3


@dataclass(slots=True)
class Bare:
    """A model's sessions by their threads, and the combination of threads and rows that runs best."""

    model: Measured
    sessions: dict[int, Any] = field(default_factory=dict)
    threads: int = 1
    batch: int = 1
    single_request_threads: int = 1

    def rate(self, seconds: float) -> float:
        """Rows a second at the best combination, everything that happens meanwhile included."""
        times = _run_times(self.sessions[self.threads], self.model, self.batch, seconds)
        return self.batch * len(times) / sum(times)

    def latency_ms(self, seconds: float) -> float:
        """The median time of a run of one row."""
        times = _run_times(self.sessions[self.single_request_threads], self.model, 1, seconds)
        return float(np.median(times)) * 1e3


def open_bare(model: Measured, seconds: float) -> Bare:
    """Search for the best number of threads and rows for so many seconds, by the median of its tries."""
    bare = Bare(model)
    graph = model.graph()
    for threads in sorted({1, os.cpu_count() or 1}):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        bare.sessions[threads] = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
    combinations = list(itertools.product(bare.sessions, BATCH_SIZES))
    share = seconds / SEARCHES / len(combinations)
    tries: dict[tuple[int, int], list[float]] = {each: [] for each in combinations}
    for threads, batch in combinations * SEARCHES:
        times = _run_times(bare.sessions[threads], model, batch, share)
        tries[threads, batch].append(float(np.median(times)))
    medians = {each: float(np.median(found)) for each, found in tries.items()}
    bare.threads, bare.batch = min(medians, key=lambda each: medians[each] / each[1])
    bare.single_request_threads = min(bare.sessions, key=lambda threads: medians[threads, 1])
    return bare


def _run_times(
    session: onnxruntime.InferenceSession, model: Measured, batch: int, seconds: float
) -> list[float]:
    """Return how long each run with so many rows took; one at least."""
    feed = {model.input_name: np.repeat(model.row, batch, axis=0)}
    for _ in range(WARM_UP_RUNS):
        session.run(None, feed)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        started = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - started)
    return times
