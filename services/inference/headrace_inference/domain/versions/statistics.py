"""Counts what versions do on this replica: totals since its start, and news since last asked."""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from headrace.telemetry.histogram import Histogram
from headrace.telemetry.parts import Part
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.generation.statistics import GenerationCounters
from headrace_inference.domain.scheduling.flagged_routes import FlaggedRoute, plain_route
from headrace_inference.domain.scheduling.requests import (
    Asked,
    FailureLog,
    InferenceRequest,
    ToldApart,
)
from headrace_inference.domain.versions.part_counts import PartCounts, TellApart

MAX_BATCH_SIZES = 1024
"""Told apart of one version; beyond them, runs count at the next power of two."""

MAX_VIOLATED = 64
"""Fields of one version told apart among those that rows differed in; all others count together."""

OTHER_FIELDS = "_other"

MAX_BUFFERED = 4096
"""Requests whose runs are kept uncounted at most: some 300 kB."""

_RUN_NUMBERS = 6
_ANSWER_NUMBERS = 6


@dataclass(slots=True)
class Counts:
    """The counts of a version in a span of time. Spans add up; durations are nanoseconds.

    `input`, `infer` and `output` are the parts of `compute`; each request of a batch counts the batch's.
    """

    successes: int = 0
    rows: int = 0
    executions: int = 0
    row_capacity: int = 0
    """Rows that the runs had room for."""
    batching_disabled: int = 0
    """Times that it was found, once loaded, that its requests must not share runs."""
    errors: Counter[str] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    batches: Counter[int] = field(default_factory=Counter)
    total: Histogram = field(default_factory=Histogram)
    queue: Histogram = field(default_factory=Histogram)
    compute: Histogram = field(default_factory=Histogram)
    failed: Histogram = field(default_factory=Histogram)
    """From reception to the error, of requests that were answered with one."""
    input: Histogram = field(default_factory=Histogram)
    infer: Histogram = field(default_factory=Histogram)
    output: Histogram = field(default_factory=Histogram)
    violations: Counter[str] = field(default_factory=Counter)
    """Rows that differed from what was learnt, by field, where that is enforced."""
    load_time: Histogram = field(default_factory=Histogram)
    """From the start of a load until the version was ready."""
    parts: PartCounts = field(default_factory=PartCounts)
    """Of parts of the requests."""

    @property
    def idle(self) -> bool:
        """True where nothing happened."""
        served = self.executions or self.successes or self.errors
        return not served and self.load_time.is_empty

    def add(self, other: Counts) -> None:
        """Add another span."""
        self.successes += other.successes
        self.rows += other.rows
        self.executions += other.executions
        self.row_capacity += other.row_capacity
        self.batching_disabled += other.batching_disabled
        self.errors.update(other.errors)
        self.routes.update(other.routes)
        self.violations.update(other.violations)
        self.batches.update(other.batches)
        self.total.merge(other.total)
        self.queue.merge(other.queue)
        self.compute.merge(other.compute)
        self.failed.merge(other.failed)
        self.input.merge(other.input)
        self.infer.merge(other.infer)
        self.output.merge(other.output)
        self.load_time.merge(other.load_time)
        self.parts.add(other.parts)


@dataclass(slots=True)
class BatchDurations:
    """The three parts of the runs at one batch size, summed."""

    count: int = 0
    input_ns: int = 0
    infer_ns: int = 0
    output_ns: int = 0


@dataclass(slots=True)
class FailDuration:
    """Failed requests, and how long they took together."""

    count: int = 0
    ns: int = 0


RunTimes = tuple[int, int, int, int]
"""The times when one run began, had its inputs, its outputs, and its answers: monotonic nanoseconds."""


class Received(Protocol):
    """A request or a call of text that a version was asked."""

    received_ns: int
    route: str
    asked: Asked | None


class VersionCounters:
    """The counts of one version.

    A run costs a few appended numbers; runs are counted later, hundreds at a time and vectorised, when
    somebody asks or when MAX_BUFFERED requests have come together.
    """

    def __init__(self, tell_apart: TellApart | None = None) -> None:
        self._tell_apart = tell_apart
        self.lock: AbstractContextManager[object] = threading.RLock()
        """Whoever answers requests and then counts them may hold it: nobody who asks comes in between."""
        self._new = Counts()
        self._totals = Counts()
        self._runs = array("q")
        """Of each run that is not counted yet: its four times, its rows, its requests."""
        self._received_ns = array("q")
        self._routes: list[str] = []
        self._answers = array("q")
        """Of each answer that is not counted yet: its reception, its end, the four times of its run."""
        self._answer_routes: list[str] = []
        self._parts: list[Sequence[Part]] = []
        """Of each request of runs that is not counted yet, where requests are told apart."""
        self._answer_parts: list[Sequence[Part]] = []
        self._failed_ns: dict[str, array[int]] = {}
        """By the reason of its error, the time of each request whose error is in no histogram yet."""
        self._uncounted_errors = 0
        self._violated: set[str] = set()
        self._by_batch_size: dict[int, BatchDurations] = {}
        self._failed = FailDuration()
        self._last_answered_ns = 0
        self._max_rows = 1
        self._generation: GenerationCounters | None = None
        self._busy_ns = 0
        self._taken_busy_ns = 0
        self._runs_elsewhere: Callable[[], int] | None = None
        self.is_on_device = False
        """True where it runs on a device of its own, not on the processor."""
        self.failure_log: FailureLog | None = None
        """Who logs its requests that fail; mostly nobody."""

    def follow_runs(self, busy_ns: Callable[[], int]) -> None:
        """Its runs are not told one by one: this says how long all of them took, from now on."""
        with self.lock:
            before, at_start = self._runs_elsewhere, busy_ns()
            self._busy_ns += before() if before is not None else 0
            self._runs_elsewhere = lambda: busy_ns() - at_start

    def take_busy_ns(self) -> int:
        """Return for how long runs went on since this was last called, those at a time added up."""
        with self.lock:
            self._count()
            elsewhere = self._runs_elsewhere() if self._runs_elsewhere is not None else 0
            busy_ns = self._busy_ns + elsewhere
            taken, self._taken_busy_ns = busy_ns - self._taken_busy_ns, busy_ns
        return taken

    @property
    def generation(self) -> GenerationCounters:
        """Return the counts of what it generated, begun when first asked for."""
        if self._generation is None:
            with self.lock:
                self._generation = self._generation or GenerationCounters()
        return self._generation

    @property
    def has_generated(self) -> bool:
        """Tell whether anybody asked for what it generated, as a generative version does."""
        return self._generation is not None

    def set_max_rows(self, rows: int) -> None:
        """Runs have room for so many rows from now on."""
        with self.lock:
            self._count()
            self._max_rows = rows

    def record_load(self, duration_ns: int) -> None:
        """The version was loaded, in so long."""
        with self.lock:
            self._new.load_time.record_one(duration_ns)

    def record_run(self, requests: Sequence[InferenceRequest], rows: int, times: RunTimes) -> None:
        """One run of so many rows, and the requests that it answered. Whoever calls this holds the lock.

        Those that it gave an answer to that others will send are theirs to count: `record_answer`.
        """
        self._runs.extend((*times, rows, len(requests)))
        self._received_ns.extend([request.received_ns for request in requests])
        self._routes += [request.route for request in requests]
        if self._tell_apart is not None:
            self._parts += [self._tell_apart(request.asked) for request in requests]
        self._last_answered_ns = times[3]
        if len(self._routes) >= MAX_BUFFERED:
            self._count()

    def record_answer(self, request: Received, times: RunTimes, answered_ns: int) -> None:
        """One request that was answered after its run was counted."""
        with self.lock:
            self._answers.extend((request.received_ns, answered_ns, *times))
            self._answer_routes.append(request.route)
            if self._tell_apart is not None:
                self._answer_parts.append(self._tell_apart(request.asked))
            if len(self._answer_routes) >= MAX_BUFFERED:
                self._count()

    @property
    def last_answered_ns(self) -> int:
        """Return when the last run was answered, in monotonic nanoseconds; 0 before the first."""
        return self._last_answered_ns

    def last_inference_ms(self, clock: Clock) -> int:
        """Return when the last run was answered, in ms since the Unix epoch; 0 before the first."""
        if not self._last_answered_ns:
            return 0
        return (clock.wall_ns() - (clock.monotonic_ns() - self._last_answered_ns)) // 1_000_000

    def _count(self) -> None:
        """Count what is kept; the lock is held."""
        if self._runs:
            self._count_runs()
        if self._answers:
            self._count_answers()
        if self._failed_ns:
            self._count_failed()

    def _count_failed(self) -> None:
        failed_ns, self._failed_ns = self._failed_ns, {}
        self._uncounted_errors = 0
        for reason, durations in failed_ns.items():
            found = np.array(durations, dtype=np.int64)
            self._new.failed.record(found)
            self._new.parts.record_failed(reason, found)

    def _count_routes(self, routes: Sequence[str]) -> None:
        counted = self._new.routes
        counted.update(routes)
        for route in [each for each in counted if isinstance(each, FlaggedRoute)]:
            counted[route.plain] += counted.pop(route)

    def _count_runs(self) -> None:
        runs = np.array(self._runs, dtype=np.int64).reshape(-1, _RUN_NUMBERS)
        received = np.array(self._received_ns, dtype=np.int64)
        self._runs, self._received_ns = array("q"), array("q")
        routes, self._routes = self._routes, []
        parts, self._parts = self._parts, []
        times, rows, sizes = runs[:, :4], runs[:, 4], runs[:, 5]
        self._new.executions += len(runs)
        answered = np.repeat(times[:, 3], sizes)
        self._count_requests(received, answered, times, sizes)
        self._new.parts.record_answers(answered - received, routes, parts)
        self._count_routes(routes)
        self._count_batches(rows, np.diff(times, axis=1))

    def _count_answers(self) -> None:
        answers = np.array(self._answers, dtype=np.int64).reshape(-1, _ANSWER_NUMBERS)
        self._answers = array("q")
        ones = np.ones(len(answers), dtype=np.int64)
        self._count_requests(answers[:, 0], answers[:, 1], answers[:, 2:], ones)
        routes, self._answer_routes = self._answer_routes, []
        parts, self._answer_parts = self._answer_parts, []
        self._new.parts.record_answers(answers[:, 1] - answers[:, 0], routes, parts)
        self._count_routes(routes)

    def _count_requests(
        self,
        received: npt.NDArray[np.int64],
        answered: npt.NDArray[np.int64],
        times: npt.NDArray[np.int64],
        sizes: npt.NDArray[np.int64],
    ) -> None:
        """Count requests [n] that runs answered: each run's times [m, 4], and how many of them are its."""
        new = self._new
        new.successes += len(received)
        new.total.record(answered - received)
        new.queue.record(np.maximum(np.repeat(times[:, 0], sizes) - received, 0))
        new.compute.record(times[:, 3] - times[:, 0], sizes)
        parts = np.diff(times, axis=1)
        for column, histogram in enumerate((new.input, new.infer, new.output)):
            histogram.record(parts[:, column], sizes)

    def _count_batches(self, rows: npt.NDArray[np.int64], parts: npt.NDArray[np.int64]) -> None:
        """Sum the runs by batch size: `rows` [n], `parts` int64 [n, 3] nanoseconds."""
        sizes, places = np.unique(rows, return_inverse=True)
        counts = np.bincount(places)
        sums = np.zeros((len(sizes), 3), dtype=np.int64)
        np.add.at(sums, places, parts)
        self._new.rows += int(rows.sum())
        self._new.row_capacity += int(np.maximum(rows, self._max_rows).sum())
        if self._runs_elsewhere is None:
            self._busy_ns += int(parts.sum())
        for size, count, (inputs, infers, outputs) in zip(
            sizes.tolist(), counts.tolist(), sums.tolist(), strict=True
        ):
            place = self._told_apart(size)
            self._new.batches[place] += count
            durations = self._by_batch_size.setdefault(place, BatchDurations())
            durations.count += count
            durations.input_ns += inputs
            durations.infer_ns += infers
            durations.output_ns += outputs

    def _told_apart(self, size: int) -> int:
        """Callers choose how many rows they send: they cannot grow this without end."""
        known = self._by_batch_size
        if size in known or len(known) < MAX_BATCH_SIZES:
            return size
        return 1 << max(size - 1, 0).bit_length()

    @property
    def by_batch_size(self) -> dict[int, BatchDurations]:
        """The parts of the runs by batch size: a copy."""
        with self.lock:
            self._count()
            return {rows: replace(parts) for rows, parts in self._by_batch_size.items()}

    @property
    def failed(self) -> FailDuration:
        """Requests answered with an error: a copy."""
        with self.lock:
            return replace(self._failed)

    def record_error(self, reason: str, duration_ns: int, of: ToldApart | None = None) -> None:
        """One request that was answered with an error; `of` it is what is known of it."""
        with self.lock:
            self._new.errors[reason] += 1
            if of is not None:
                self._new.parts.record_error(reason, self._parts_of(of))
            self._failed.count += 1
            self._failed.ns += duration_ns
            self._failed_ns.setdefault(reason, array("q")).append(duration_ns)
            self._uncounted_errors += 1
            if self._uncounted_errors >= MAX_BUFFERED:
                self._count()

    def _parts_of(self, request: ToldApart) -> Sequence[Part]:
        more = self._tell_apart(request.asked) if self._tell_apart is not None else ()
        return (Part("route", plain_route(request.route)), *more) if request.route else more

    def record_violations(self, fields: Mapping[str, int]) -> None:
        """Rows that differed from what was learnt, by field."""
        with self.lock:
            for name, rows in fields.items():
                known = name in self._violated or len(self._violated) < MAX_VIOLATED
                self._violated.update([name] if known else ())
                self._new.violations[name if known else OTHER_FIELDS] += rows

    def record_batching_disabled(self) -> None:
        """Its requests are run alone from now on."""
        with self.lock:
            self._new.batching_disabled += 1

    def count(self) -> None:
        """Count what is kept, so that whoever asks next waits for less."""
        with self.lock:
            self._count()

    def drain(self) -> Counts:
        """Return what happened since this was last called; it is in the totals from now on."""
        with self.lock:
            self._count()
            new, self._new = self._new, Counts()
            self._totals.add(new)
        return new

    def totals(self) -> Counts:
        """Everything since this replica started: a copy."""
        with self.lock:
            self._count()
            totals = Counts()
            totals.add(self._totals)
            totals.add(self._new)
        return totals


class StatisticsRegistry:
    """The statistics of every version that this replica ever served, also after it was unloaded.

    They belong to the name and number that callers asked for, and go on where another version gets these.

    Requests that reached no version, and asked for none that there is, count under number 0 of their model,
    or of the model '' where there is no model of that name: callers cannot grow the book.
    """

    def __init__(self, tell_apart: TellApart | None = None) -> None:
        self._tell_apart = tell_apart
        self._versions: dict[tuple[str, int], VersionCounters] = {}
        self.dropped_reports = 0
        """Reports of these statistics that nobody took in time, so that they are in this replica alone."""

    def of(self, model: str, number: int) -> VersionCounters:
        """The statistics of a version, begun when first asked for."""
        found = self._versions.get((model, number))
        return found or self._versions.setdefault(
            (model, number), VersionCounters(self._tell_apart)
        )

    def items(self) -> list[tuple[tuple[str, int], VersionCounters]]:
        """All of them, by model and number."""
        return sorted(self._versions.items(), key=lambda item: item[0])
