"""What does a tally cost: its bytes in a window, and the time to add it up?

    python -m benchmarks.tallies

For windows of 1, 100 and 3000 requests with lognormal durations. Times are of the thread's CPU for one
tally, the best of many: cells add up sixteen tallies at once, a question 300.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from headrace.telemetry import packed_histograms
from headrace.telemetry.histogram import Histogram
from headrace.telemetry.measures import (
    BATCHES,
    COMPUTE_TIME,
    EXECUTIONS,
    QUEUE_TIME,
    ROUTES,
    ROW_CAPACITY,
    ROWS,
    SUCCESSES,
    TOTAL_TIME,
)
from headrace_monitor.domain.ledger.cells import ADDED_TOGETHER, CELL_OVERHEAD_BYTES
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.tally import Tally

ROUNDS = 60
QUESTION = 300


def tally_of(requests: int, seed: int) -> Tally:
    """A window in which a version answered so many requests."""
    random = np.random.default_rng(seed)

    def durations() -> Histogram:
        histogram = Histogram()
        histogram.record(random.lognormal(14, 0.7, requests).astype(np.int64))
        return histogram

    return Tally(
        {
            SUCCESSES: requests,
            ROWS: requests,
            EXECUTIONS: requests,
            ROUTES: {"stable": requests},
            BATCHES: {1: requests},
            TOTAL_TIME: durations(),
            QUEUE_TIME: durations(),
            COMPUTE_TIME: durations(),
            ROW_CAPACITY: 8 * requests,
        }
    )


def microseconds(work: Callable[[], object], times: int = 20) -> float:
    """The least CPU time that `work` took."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(times):
            work()
        best = min(best, (time.thread_time() - began) / times)
    return best * 1e6


def as_sent(tally: Tally) -> bytes:
    """The tally as it is while nothing was added to it."""
    values: dict[str, object] = {}
    histograms: dict[str, encoding.PackedHistogram] = {}
    for key, value in tally.items():
        short = encoding.short_key(key)
        if isinstance(value, Histogram):
            buckets, counts = packed_histograms.pack(value)
            width = packed_histograms.width_in(buckets, counts)
            histograms[short] = encoding.PackedHistogram(buckets, counts, value.sum_ns, width)
        else:
            values[short] = value
    return encoding.encode_packed(values, histograms)[0]


def measure(requests: int) -> str:
    """One line of the table."""
    tally = tally_of(requests, 0)
    cells = [as_sent(tally_of(requests, seed)) for seed in range(QUESTION)]
    several = cells[:ADDED_TOGETHER]
    added = microseconds(lambda: encoding.sum_of(several), 3) / ADDED_TOGETHER
    question = microseconds(lambda: encoding.decode_sum(cells), 3) / QUESTION
    sent, summed = len(cells[0]), len(encoding.encode(tally))
    return (
        f"{requests:8}  {sent:13}  {summed:14}  {summed + CELL_OVERHEAD_BYTES:13}  "
        f"{added:12.1f}  {question:18.1f}"
    )


def main() -> None:
    """Measure and print."""
    print("requests  bytes as sent  bytes added up  with overhead  added up us  question us/window")
    for requests in (1, 100, 3000):
        print(measure(requests), flush=True)


if __name__ == "__main__":
    main()
