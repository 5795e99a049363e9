"""ONNX Runtime in a loop without any network: the most that a server could reach."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np
import onnxruntime

from benchmarks.models import Measured

BATCH_SIZES = (1, 2, 4, 8, 16, 64)
WARM_UP_RUNS = 3


@dataclass(frozen=True, slots=True)
class Bare:
    """The best rate in rows a second, with what it took, and the best latency of one row."""

    rate: float
    threads: int
    batch: int
    latency_ms: float


def best(model: Measured, seconds: float) -> Bare:
    """Try thread counts and batch sizes, each for a share of the time, and keep the best."""
    graph = model.graph()
    found = Bare(0.0, 0, 0, float("inf"))
    threads_tried = sorted({1, os.cpu_count() or 1})
    share = seconds / len(threads_tried) / len(BATCH_SIZES)
    for threads in threads_tried:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        for batch in BATCH_SIZES:
            took = _run_seconds(session, model, batch, share)
            if batch == 1:
                found = Bare(
                    found.rate, found.threads, found.batch, min(found.latency_ms, took * 1e3)
                )
            if batch / took > found.rate:
                found = Bare(batch / took, threads, batch, found.latency_ms)
    return found


def _run_seconds(
    session: onnxruntime.InferenceSession, model: Measured, batch: int, seconds: float
) -> float:
    """The median time of a run with so many rows."""
    feed = {model.input_name: np.repeat(model.row, batch, axis=0)}
    for _ in range(WARM_UP_RUNS):
        session.run(None, feed)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        started = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - started)
    return float(np.median(times))
