"""Decides by measurements how a version runs, where its serving config leaves that open."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.state.records import ServingConfig

LATENCY_SLACK = 1.05
"""A lone request may take this much longer than with the layout that answers it first."""

RATE_SLACK = 1.01
"""Rows a second may be this much fewer than with the layout that runs most."""

MIN_THROUGHPUT_GAIN = 1.02
"""More rows at once must bring so much more rows a second: every request of a batch waits for its last."""

MIN_SCALING_GAIN = 1.05
"""A larger size is worth trying where the largest measured brought so much more than the one before."""

BATCH_SECONDS = 100e-6
"""The cost of a batch beside its run: being taken from the queue, counted, and answered."""

MAX_LATENCY_RATIO = 1.5
"""A layout whose lone requests take this much longer cannot make up for it: its rate is not measured.

Unless a session of their own runs them.
"""

MOST_JOINED_BYTES = 2**18
"""Of inputs and outputs: over it, copying rows into one run and out of it costs more than a run saves."""


@dataclass(frozen=True, slots=True)
class ThreadLayout:
    """So many runs at a time, with so many threads each."""

    instances: int
    threads: int


@dataclass(frozen=True, slots=True)
class ExecutionPlan:
    """The choices for a version. Zeros choose nothing.

    `best_batch_rows`: more rows at once bring no more rows a second (0: as many as may be).
    `single_request_threads`: of a session of its own for requests that come while nothing else of the
    version runs (0: they run as all others).
    `affordable_rows`: more that nobody asked for cost too much, or bring nothing (0: none does).
    `is_provisional`: nothing was measured yet, and will be.
    """

    instances: int = 0
    intra_op_threads: int = 0
    best_batch_rows: int = 0
    single_request_threads: int = 0
    affordable_rows: int = 0
    is_provisional: bool = False

    def applied_to(self, config: ServingConfig) -> ServingConfig:
        """The config with its open choices made: what it says itself holds."""
        threads = config.session.intra_op_threads or self.intra_op_threads
        session = dataclasses.replace(config.session, intra_op_threads=threads)
        instances = config.instances or self.instances or 1
        return dataclasses.replace(config, instances=instances, session=session)

    def for_single_requests(self) -> ExecutionPlan:
        """Return how the session of lone requests is opened."""
        return ExecutionPlan(1, self.single_request_threads)

    @property
    def is_tiny(self) -> bool:
        """Tell whether runs are over before other threads, or other runs beside them, could help."""
        return self.instances == self.intra_op_threads == 1

    def most_rows(self, config: ServingConfig, row_bytes: int = 0) -> int:
        """Return how many rows are put together, of which each has so many bytes in and out.

        A queue delay, or sizes that the config sets, hold. Copying more bytes into one run than
        `MOST_JOINED_BYTES` takes longer than a tiny run of its own.
        """
        batching = config.batching
        most = max(1, batching.max_batch_size)
        if batching.allow_larger_requests and self.affordable_rows:
            most = min(most, self.affordable_rows)
        if batching.allow_larger_requests and self.is_tiny and row_bytes:
            most = min(most, max(1, MOST_JOINED_BYTES // row_bytes))
        asked = batching.max_queue_delay_microseconds or batching.preferred_batch_sizes
        return most if asked or not self.best_batch_rows else min(most, self.best_batch_rows)

    def joins_larger(self, config: ServingConfig) -> bool:
        """Return whether requests of several rows may share a run over `most_rows`: no limit was asked for,
        and none was found."""
        batching = config.batching
        asked = (
            batching.max_queue_delay_microseconds
            or batching.preferred_batch_sizes
            or batching.allowed_batch_sizes
        )
        found = self.affordable_rows or self.best_batch_rows
        return batching.allow_larger_requests and not asked and not found


NO_PLAN = ExecutionPlan()
"""One instance with all cores, and batches as large as they may be."""


ONE_THREAD = ExecutionPlan(1, 1)
"""One run at a time, of one thread: how a version is tried, which others on the cores disturb least."""

TINY_PLAN = ONE_THREAD
"""A run that is over before other threads could help has one, and no other run beside it."""


def robust_plan(config: ServingConfig, cores: int, *, apart: bool) -> ExecutionPlan:
    """The plan where nothing is measured: as many runs of one thread as there are cores.

    Other work on the cores holds up a run of several threads at each operator, and runs of one thread
    not at all. `apart`: lone requests have a session of their own, with all cores. Where they have none,
    two runs share the cores: more would make a lone request wait for the one thread of its run.
    """
    open_layouts = layouts(config, cores)
    most, fewest = open_layouts[0], open_layouts[-1]
    if config.instances or config.session.intra_op_threads:
        return ExecutionPlan(fewest.instances, fewest.threads)
    if apart:
        lone = most.threads if most.threads > 1 else 0
        return ExecutionPlan(fewest.instances, fewest.threads, single_request_threads=lone)
    instances = min(2, cores)
    return ExecutionPlan(instances, cores // instances)


def layouts(config: ServingConfig, cores: int) -> list[ThreadLayout]:
    """Those to choose from, the most threads first: runs times threads are the cores, or what is given."""
    if config.instances:
        return [
            ThreadLayout(
                config.instances,
                config.session.intra_op_threads or max(1, cores // config.instances),
            )
        ]
    if config.session.intra_op_threads:
        return [
            ThreadLayout(
                max(1, cores // config.session.intra_op_threads), config.session.intra_op_threads
            )
        ]
    powers = [1 << exponent for exponent in range(cores.bit_length())]
    counts = sorted({*powers, cores}, reverse=True)
    return [ThreadLayout(cores // threads, threads) for threads in counts]


def throughput_candidates(
    latencies: Mapping[ThreadLayout, float], *, apart: bool
) -> list[ThreadLayout]:
    """The layouts whose rate is worth measuring, by how long a lone request takes with each.

    `apart`: lone requests may have a session of their own.
    """
    best = min(latencies.values())
    if apart:
        return list(latencies)
    return [layout for layout, seconds in latencies.items() if seconds <= MAX_LATENCY_RATIO * best]


def best_layout(
    latencies: Mapping[ThreadLayout, float], rates: Mapping[ThreadLayout, float]
) -> ThreadLayout:
    """The layout that misses the best latency and the best rate least; of equals the fewest threads."""
    quickest, most = min(latencies.values()), max(rates.values())

    def shortfall(layout: ThreadLayout) -> tuple[float, int, int]:
        late = max(0.0, latencies[layout] / quickest - LATENCY_SLACK)
        slow = max(0.0, most / rates[layout] - RATE_SLACK)
        return max(late, slow), layout.instances * layout.threads, layout.threads

    return min(rates, key=shortfall)


def two_layouts(
    latencies: Mapping[ThreadLayout, float], rates: Mapping[ThreadLayout, float]
) -> tuple[ThreadLayout, int]:
    """The layout with the best rate, and the threads of lone requests: 0 where it suits them as well.

    Threads of one run wait for one another after every operator; runs of one thread each never do. So
    the layout that answers a lone request first is rarely the one that answers most of many.
    """
    best = best_layout(latencies, rates)
    quickest = min(latencies, key=lambda layout: latencies[layout])
    fits_both = (
        latencies[best] <= LATENCY_SLACK * latencies[quickest]
        and max(rates.values()) <= RATE_SLACK * rates[best]
    )
    if fits_both:
        return best, 0
    fastest = max(rates, key=lambda layout: rates[layout])
    late = latencies[fastest] > LATENCY_SLACK * latencies[quickest]
    return fastest, quickest.threads if late else 0


def still_scaling(rates: Sequence[float]) -> bool:
    """Return whether larger batches may still bring more, by the rates so far, of ascending sizes."""
    return len(rates) < 3 or max(rates[-2:]) >= MIN_THROUGHPUT_GAIN * max(rates[:-2])


def best_batch_rows(rates: Mapping[int, float]) -> int:
    """The smallest number of rows that runs about as many a second as any; 0 if more may bring more."""
    best = max(rates.values())
    rows = min(size for size, rate in rates.items() if MIN_THROUGHPUT_GAIN * rate >= best)
    *smaller, largest = sorted(rates)
    if rows < largest:
        return rows
    grows_on = not smaller or rates[largest] >= MIN_SCALING_GAIN * rates[smaller[-1]]
    return 0 if grows_on else rows
