"""What does a tally cost: its bytes in a window, and the time to encode, merge and add up?

    python -m benchmarks.tallies

For windows of 1, 100 and 3000 requests with lognormal durations. Times are of the thread's CPU, the best
of many: a window that is merged is decoded, added to and encoded; a question adds up 300 windows at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from headrace.histogram import Histogram
from headrace.measures import (
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
from headrace_monitor.domain.ledger.cells import CELL_OVERHEAD_BYTES
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


def measure(requests: int) -> str:
    """One line of the table."""
    tally, more = tally_of(requests, 0), tally_of(requests, 1)
    encoded = encoding.encode(tally)
    cells = [encoding.encode(tally_of(requests, seed)) for seed in range(QUESTION)]
    encode = microseconds(lambda: encoding.encode(tally))
    merge = microseconds(lambda: encoding.encode(encoding.decode(encoded).plus(more)))
    question = microseconds(lambda: encoding.decode_sum(cells), 3) / QUESTION
    whole = len(encoded) + CELL_OVERHEAD_BYTES
    return (
        f"{requests:8}  {len(encoded):5}  {whole:13}  {encode:9.1f}  {merge:8.1f}  {question:18.1f}"
    )


def main() -> None:
    """Measure and print."""
    print("requests  bytes  with overhead  encode us  merge us  question us/window")
    for requests in (1, 100, 3000):
        print(measure(requests), flush=True)


if __name__ == "__main__":
    main()
