"""Measures how a version runs best on this machine, on made-up inputs and in bounded time."""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headrace.machine.memory import own_memory_bytes
from headrace.state.records import VersionRecord
from headrace_inference.adapters.runtime.warm_up import batch_sizes
from headrace_inference.adapters.runtime.warm_up_inputs import WarmUpInputs, warm_up_inputs
from headrace_inference.domain.scheduling import execution_plan
from headrace_inference.domain.scheduling.execution_plan import (
    NO_PLAN,
    TINY_PLAN,
    ExecutionPlan,
    ThreadLayout,
)
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import RunFailed, Runner

OpenWith = Callable[[ExecutionPlan], Runner]
"""Opens the version with the threads of a plan, without warming it."""

Batch = Callable[[], object]
"""Runs one batch. Raises RunFailed."""

TINY_SECONDS = 30e-6
"""A run that takes no longer costs less than what surrounds it: one thread, and no more questions."""

_TINY_LOOKS = 5

_LATENCY_ROUNDS, _RATE_ROUNDS, _REPEATS = 5, 2, 3
_BLOCK_SECONDS = 0.004
_SETTLING_RUNS = 2
"""The first run of a size makes room in the arena."""

_LATENCY_SHARE = 0.3
"""Of the time that there is; the rest is for batches."""

MOST_BYTES = 1 << 30
"""Sessions and runs may take so much memory together, in the process that measures."""

_MOST_WAITED = 0.12
"""Where threads stood ready for more of the time than this, what was measured is the others' work."""


class NoisyHost(Exception):
    """Others had the cores: the measurements say nothing."""


@dataclass(frozen=True, slots=True)
class _Budget:
    until: float

    @property
    def left(self) -> float:
        return self.until - time.monotonic()


def measure(
    record: VersionRecord,
    folder: Path,
    cores: int,
    seconds: float,
    open_with: OpenWith,
    *,
    apart: bool = False,
) -> ExecutionPlan:
    """The best plan found within about so many seconds; `folder` has the version's files.

    `apart`: lone requests may have a session of their own, for the weights are shared.
    A version whose runs are too long for that gets no plan. Raises NoisyHost, RunFailed, HeadraceError.
    """
    with ExitStack() as stack:
        bench = _Bench(record, warm_up_inputs(record, folder)[0], open_with, stack)
        layouts = execution_plan.layouts(record.config, cores)
        plan = _search(bench, layouts, _Budget(time.monotonic() + seconds), apart=apart)
        bench.refuse_contention()
    return plan


def _search(
    bench: _Bench, layouts: Sequence[ThreadLayout], budget: _Budget, *, apart: bool
) -> ExecutionPlan:
    if len(layouts) > 1 and bench.is_tiny(layouts[-1]):
        return TINY_PLAN
    latencies = bench.latencies(layouts, budget)
    if len(latencies) < len(layouts):
        return NO_PLAN
    by_rows = bench.rates(execution_plan.throughput_candidates(latencies, apart=apart), budget)
    rates = {layout: max(found.values()) for layout, found in by_rows.items()}
    if apart:
        best, single_request_threads = execution_plan.two_layouts(latencies, rates)
    else:
        best, single_request_threads = execution_plan.best_layout(latencies, rates), 0
    rows = execution_plan.best_batch_rows(by_rows[best])
    return ExecutionPlan(best.instances, best.threads, rows, single_request_threads)


class _Bench:
    """Sessions of one version by their threads, and how fast they run."""

    def __init__(
        self, record: VersionRecord, inputs: WarmUpInputs, open_with: OpenWith, stack: ExitStack
    ) -> None:
        self.config = record.config
        self._made = inputs
        self._open_with = open_with
        self._stack = stack
        self._runners: dict[int, Runner] = {}
        self._alone: dict[tuple[int, int], float] = {}
        self._sizes = sorted(batch_sizes(record.config.batching))
        self._started, self._waited = time.monotonic(), _waited_seconds()
        self._before_bytes = own_memory_bytes()

    def refuse_contention(self) -> None:
        """Raises NoisyHost if threads had to wait for cores until now."""
        waited = _waited_seconds() - self._waited
        if waited > _MOST_WAITED * (time.monotonic() - self._started):
            raise NoisyHost

    def is_tiny(self, layout: ThreadLayout) -> bool:
        """Return whether a run is over before threads could help, and before anything else is."""
        runner = self._runner(layout)
        return is_tiny(functools.partial(runner.run, self._inputs(self._sizes[0])))

    def latencies(
        self, layouts: Sequence[ThreadLayout], budget: _Budget
    ) -> dict[ThreadLayout, float]:
        """Return how long one run of the smallest size takes with each, in turns, so that all see the same.

        Some are missing where a single run takes too long to go on.
        """
        inputs = self._inputs(self._sizes[0])
        until = _Budget(time.monotonic() + budget.left * _LATENCY_SHARE)
        found: dict[ThreadLayout, float] = {}
        for layout in itertools.chain.from_iterable(itertools.repeat(layouts, _LATENCY_ROUNDS)):
            seconds = _block_seconds(functools.partial(self._runner(layout).run, inputs))
            found[layout] = min(seconds, found.get(layout, seconds))
            if until.left < seconds:
                break
            if layout == layouts[-1]:
                self.refuse_contention()
        return found

    def rates(
        self, layouts: Sequence[ThreadLayout], budget: _Budget
    ) -> dict[ThreadLayout, dict[int, float]]:
        """Rows a second of all instances together, for growing sizes, until they bring no more.

        Layouts take turns, so that all see the same machine; what there is time for is repeated.
        """
        found: dict[ThreadLayout, dict[int, float]] = {layout: {} for layout in layouts}
        for rows in self._sizes:
            if 2 * (own_memory_bytes() - self._before_bytes) > MOST_BYTES:
                break  # the next size may take twice as much
            growing = [
                one for one in layouts if execution_plan.still_scaling(list(found[one].values()))
            ]
            for layout in growing * _RATE_ROUNDS:
                self._look_at(layout, rows, found[layout], budget)
        for _, rows, layout in itertools.product(range(_REPEATS), self._sizes, layouts):
            if rows in found[layout]:
                self._look_at(layout, rows, found[layout], budget)
        return found

    def _look_at(
        self, layout: ThreadLayout, rows: int, found: dict[int, float], budget: _Budget
    ) -> None:
        expected = _SETTLING_RUNS * layout.instances * rows / max(found.values(), default=math.inf)
        if found and expected > budget.left:
            return
        found[rows] = max(found.get(rows, 0.0), self._rate(layout, rows))

    def _rate(self, layout: ThreadLayout, rows: int) -> float:
        batch = self._batch(self._runner(layout), rows)
        if layout.instances == 1:
            seconds = _block_seconds(batch)
            return rows / (seconds + execution_plan.BATCH_SECONDS)
        if (layout.threads, rows) not in self._alone:
            self._alone[layout.threads, rows] = _block_seconds(batch)
        count = max(_SETTLING_RUNS, int(_BLOCK_SECONDS / self._alone[layout.threads, rows]))
        together = _together_seconds(batch, layout.instances, count)
        return sum(rows / (seconds + execution_plan.BATCH_SECONDS) for seconds in together)

    def _runner(self, layout: ThreadLayout) -> Runner:
        if layout.threads not in self._runners:
            runner = self._open_with(ExecutionPlan(1, layout.threads))
            self._stack.callback(runner.close)
            self._runners[layout.threads] = runner
        return self._runners[layout.threads]

    def _batch(self, runner: Runner, rows: int) -> Batch:
        """A run of so many requests of one row: a lone one is read in place, others are put together."""
        inputs = self._inputs(rows)
        if rows == 1:
            return functools.partial(runner.run, inputs)
        requests = [np.split(array, rows) for array in inputs]
        return lambda: runner.run([np.concatenate(arrays) for arrays in requests])

    def _inputs(self, rows: int) -> list[Array]:
        inputs = self._made.make(rows)
        if inputs is None:
            raise RunFailed("inputs too large to be made up")
        return inputs


def is_tiny(run: Batch) -> bool:
    """Return whether a run is over before other threads could help. Raises RunFailed.

    Others on the cores only make it seem longer: it is looked at again, unless it is far from that.
    """
    for _ in range(_TINY_LOOKS):
        seconds = _block_seconds(run)
        if not TINY_SECONDS < seconds <= _TINY_LOOKS * _BLOCK_SECONDS:
            break
    return seconds <= TINY_SECONDS


def _block_seconds(batch: Batch) -> float:
    """Return how long one takes, over as many as fill a short while."""
    took = _BLOCK_SECONDS
    for _ in range(_SETTLING_RUNS):
        started = time.perf_counter()
        batch()
        took = time.perf_counter() - started
        if took >= _BLOCK_SECONDS:
            return took
    count = int(_BLOCK_SECONDS / took)
    started = time.perf_counter()
    for _ in range(count):
        batch()
    return (time.perf_counter() - started) / count


def _together_seconds(batch: Batch, instances: int, count: int) -> list[float]:
    """Return how long one takes on each of so many threads, which run so many each beside the others."""

    def work() -> float:
        started = time.perf_counter()
        for _ in range(count):
            batch()
        return (time.perf_counter() - started) / count

    with ThreadPoolExecutor(instances) as pool:
        return [future.result() for future in [pool.submit(work) for _ in range(instances)]]


def _waited_seconds() -> float:
    """Return how long this process's threads stood ready without a core; 0 where nobody counts."""
    files = Path("/proc/self/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[1]) for file in files) / 1e9
