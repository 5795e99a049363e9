"""Collects what this replica did, once a second; while the monitor is away, keeps the newest.

Each report has a sequence number and stays in the buffer until the monitor acknowledged it, so a broken
connection loses none and the monitor merges none twice. A full buffer drops its oldest, and counts them.
Reports that another monitor is to take are of another session: see telemetry_sending.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from google.protobuf import timestamp_pb2

from headrace.monitor.v1 import telemetry_pb2
from headrace.telemetry.measures import CPU_TIME, ENERGY, LOAD_TIME, ROW_CAPACITY, SCHEMA_VIOLATIONS
from headrace_inference.adapters.generation_telemetry import (
    generation_measures,
    histogram_to_proto,
)
from headrace_inference.adapters.part_telemetry import part_measures
from headrace_inference.adapters.prediction_reports import NOTHING_TOLD, Told
from headrace_inference.domain.versions.energy_shares import (
    Busy,
    EnergyShares,
    Share,
    UsageMeter,
)
from headrace_inference.domain.versions.statistics import (
    Counts,
    StatisticsRegistry,
    VersionCounters,
)

COUNTED_TOGETHER = 16
"""So many versions are counted in one step of the event loop: a millisecond where all were called."""

MAX_VERSIONS = 100
"""In one report: so many are always taken, by the contract."""

MAX_BYTES = 2**20
"""Of the versions in one report, but for the last; the monitor takes messages of 4 MiB."""

MAX_PROFILE_BYTES = 16 * 2**20
"""Of the profiles in all reports that are not acknowledged."""

MAX_EXAMPLE_BYTES = 12 * 1024
"""Of the examples in a report, so that it stays small; others come with the next ones."""

MAX_WAITING_EXAMPLES = 1_000

MAX_BATCH_SIZES = 1000
"""Of one version in one report; if there are more, batches count at the next power of two."""


class TelemetryBuffer:
    """Reports that are not acknowledged yet, oldest first: those of `max_intervals` intervals at most.

    An interval has one report, or one for each MAX_VERSIONS versions that did something in it.
    """

    def __init__(
        self,
        replica: str,
        book: StatisticsRegistry,
        max_intervals: int,
        usage: UsageMeter | None = None,
    ) -> None:
        self._usage = usage
        self._shares = EnergyShares()
        self._replica = replica
        self._book = book
        self.boot_id = uuid.uuid4().hex
        """The session: another one for each monitor in turn, where there are several."""
        self._sequence = 0
        self._sent = 0
        self._dropped_before = 0
        self._dropped_unsent = 0
        self._since_ns = time.time_ns()
        self._reports: deque[telemetry_pb2.TelemetryReport] = deque()
        self._last_of_interval: deque[int] = deque(maxlen=max(1, max_intervals))
        self.added = asyncio.Event()
        self.dropped = 0
        """Reports that were dropped, unacknowledged."""
        self._profiles: deque[telemetry_pb2.VersionProfile] = deque()
        self._profile_bytes: dict[int, int] = {}
        """Of profiles in reports that are not acknowledged, by their sequence numbers."""
        self._examples: deque[telemetry_pb2.RowExample] = deque(maxlen=MAX_WAITING_EXAMPLES)
        self.left_out_profiles = 0
        self.predictions: Callable[[], Iterator[Told]] = lambda: iter(())
        """Gives the answers that wait to be told."""
        self.exemplars: Callable[[], Sequence[telemetry_pb2.TraceExemplar]] = tuple
        """Gives traced requests that wait to be told."""

    def collect(self, *, last: bool = False) -> None:
        """Add what happened since this was last called, also if that is nothing.

        With `last` nothing is counted any more: the monitor then knows that nothing is missing.
        """
        now_ns = time.time_ns()
        shares = self._used()
        versions = [
            telemetry
            for key, statistics in self._book.items()
            if (telemetry := _news(*key, statistics, shares.get(key))) is not None
        ]
        if len(self._last_of_interval) == self._last_of_interval.maxlen:
            self._drop_until(self._last_of_interval[0])
        profiles, told = self._waiting_profiles(), self.predictions()
        for part in _parts(versions):
            self._add(now_ns, part, next(profiles, ()), next(told, NOTHING_TOLD))
        for some in profiles:
            self._add(now_ns, [], some, next(told, NOTHING_TOLD))
        for answers in told:
            self._add(now_ns, [], (), answers)
        self._reports[-1].examples.extend(self._waiting_examples())
        self._reports[-1].exemplars.extend(self.exemplars())
        if last:
            self._reports[-1].last = True
        self._last_of_interval.append(self._sequence)
        self._since_ns = now_ns
        self.added.set()

    def _used(self) -> Mapping[tuple[str, int], Share]:
        if self._usage is None:
            return {}
        busy = {
            key: Busy(statistics.take_busy_ns(), statistics.is_on_device)
            for key, statistics in self._book.items()
        }
        return self._shares.of(self._usage.take(), busy)

    async def count_ahead(self) -> None:
        """Count what versions did, some at a time: 500 at once would hold up the event loop for 50 ms."""
        for place, (_, statistics) in enumerate(self._book.items()):
            statistics.count()
            if place % COUNTED_TOGETHER == COUNTED_TOGETHER - 1:
                await asyncio.sleep(0)

    def add_profiles(self, profiles: Sequence[telemetry_pb2.VersionProfile]) -> None:
        """Have these told with the next reports; from any thread."""
        self._profiles.extend(profiles)

    def add_examples(self, examples: Sequence[telemetry_pb2.RowExample]) -> None:
        """Have these told with the next reports, and forget the oldest that wait; from any thread."""
        self._examples.extend(examples)

    def _waiting_examples(self) -> Iterator[telemetry_pb2.RowExample]:
        size = 0
        while self._examples and size < MAX_EXAMPLE_BYTES:
            example = self._examples.popleft()
            size += example.ByteSize()
            yield example

    def _waiting_profiles(self) -> Iterator[Sequence[telemetry_pb2.VersionProfile]]:
        """Yield the profiles that wait, as many together as a report may have.

        Where the monitor is away for long, new ones are left out: their rows count as not looked at.
        """
        part: list[telemetry_pb2.VersionProfile] = []
        size = 0
        while self._profiles:
            profile = self._profiles.popleft()
            bytes_of_it = profile.ByteSize()
            if sum(self._profile_bytes.values()) + size + bytes_of_it > MAX_PROFILE_BYTES:
                self.left_out_profiles += 1
                continue
            if part and size + bytes_of_it > MAX_BYTES:
                yield part
                part, size = [], 0
            part.append(profile)
            size += bytes_of_it
        if part:
            yield part

    def _add(
        self,
        now_ns: int,
        versions: list[telemetry_pb2.VersionTelemetry],
        profiles: Sequence[telemetry_pb2.VersionProfile],
        told: Told,
    ) -> None:
        self._sequence += 1
        report = telemetry_pb2.TelemetryReport(
            replica=self._replica,
            boot_id=self.boot_id,
            sequence=self._sequence,
            start_time=timestamp(self._since_ns),
            end_time=timestamp(now_ns),
            versions=versions,
            dropped_reports=self.dropped - self._dropped_before,
            profiles=profiles,
            predictions=told.predictions,
            prediction_share=told.share,
            dropped_predictions=told.dropped,
        )
        if profiles:
            self._profile_bytes[self._sequence] = sum(one.ByteSize() for one in profiles)
        self._reports.append(report)

    def _drop_until(self, sequence: int) -> None:
        while self._reports and self._reports[0].sequence <= sequence:
            self.drop_oldest()

    def after(self, sequence: int) -> list[telemetry_pb2.TelemetryReport]:
        """The reports after this one that are still here."""
        return [report for report in self._reports if report.sequence > sequence]

    def acknowledge(self, sequence: int) -> None:
        """The monitor has this report and all before it."""
        while self._reports and self._reports[0].sequence <= sequence:
            self._remove_oldest()

    def sending(self, sequence: int) -> None:
        """A monitor may have this report from now on."""
        if sequence > self._sent:
            self._sent = sequence
            self._dropped_unsent = 0  # the oldest go first: it will hear that those are missing

    def leave(self) -> list[telemetry_pb2.TelemetryReport]:
        """End the session, for another monitor to be told: what is left for the present one to take.

        That is what it may have and did not acknowledge, and a last report that ends the session; nothing
        where it was sent nothing. What was never sent goes to a new session.
        """
        left = [report for report in self._reports if report.sequence <= self._sent]
        own_drops = self.dropped - self._dropped_before - self._dropped_unsent
        if self._sent:
            left.append(self._ending(left, own_drops))
        while self._reports and self._reports[0].sequence <= self._sent:
            self._remove_oldest()
        self._begin_anew(self.dropped - self._dropped_unsent)
        return left

    def _ending(
        self, left: Sequence[telemetry_pb2.TelemetryReport], dropped: int
    ) -> telemetry_pb2.TelemetryReport:
        """A report that a session ends with, of no time."""
        since = self._reports[0].start_time if self._reports else timestamp(self._since_ns)
        until = left[-1].end_time if left else since
        return telemetry_pb2.TelemetryReport(
            replica=self._replica,
            boot_id=self.boot_id,
            sequence=self._sent + 1,
            start_time=until,
            end_time=until,
            dropped_reports=dropped,
            last=True,
        )

    def _begin_anew(self, dropped_before: int) -> None:
        """Number what is left from 1 in a new session; gaps in the numbers stay as they are."""
        self.boot_id, before = uuid.uuid4().hex, self._sent
        for report in self._reports:
            report.boot_id = self.boot_id
            report.sequence -= before
            report.dropped_reports = min(report.dropped_reports, self._dropped_unsent)
        self._profile_bytes = {
            sequence - before: size for sequence, size in self._profile_bytes.items()
        }
        ends = (sequence - before for sequence in self._last_of_interval if sequence > before)
        self._last_of_interval = deque(ends, maxlen=self._last_of_interval.maxlen)
        self._sequence -= before
        self._sent, self._dropped_before = 0, dropped_before
        self.added.set()

    def drop_oldest(self) -> None:
        """Give the oldest report up."""
        if self._reports:
            if self._reports[0].sequence > self._sent:
                self._dropped_unsent += 1
            self._remove_oldest()
            self.dropped += 1
            self._book.dropped_reports = self.dropped

    def _remove_oldest(self) -> None:
        self._profile_bytes.pop(self._reports.popleft().sequence, None)

    def __len__(self) -> int:
        return len(self._reports)


async def collect_telemetry(buffer: TelemetryBuffer, interval_seconds: float) -> None:
    """Collect for ever; once more when cancelled, so that the last requests are told."""
    try:
        while True:
            await asyncio.sleep(interval_seconds)
            await buffer.count_ahead()
            buffer.collect()
    except asyncio.CancelledError:
        buffer.collect(last=True)
        raise


def _parts(
    versions: Sequence[telemetry_pb2.VersionTelemetry],
) -> Iterator[list[telemetry_pb2.VersionTelemetry]]:
    """The versions of one interval by report; a report without any where there are none."""
    part: list[telemetry_pb2.VersionTelemetry] = []
    size = 0
    for version in versions:
        if len(part) == MAX_VERSIONS or size > MAX_BYTES:
            yield part
            part, size = [], 0
        part.append(version)
        size += version.ByteSize()
    yield part


def _news(
    model: str, number: int, statistics: VersionCounters, share: Share | None
) -> telemetry_pb2.VersionTelemetry | None:
    """What a version did since this was last called, and its share of what it took; None for nothing."""
    counts = statistics.drain()
    generated = statistics.generation.drain() if statistics.has_generated else {}
    if counts.idle and not generated and share is None:
        return None
    telemetry = _version_telemetry(model, number, counts)
    telemetry.measures.extend(generation_measures(generated))
    if share is not None:
        telemetry.measures.extend(_used(share))
    return telemetry


def _used(share: Share) -> Iterator[telemetry_pb2.Measure]:
    if share.cpu_us:
        yield telemetry_pb2.Measure(name=CPU_TIME.name, count=share.cpu_us)
    if share.millijoules:
        labels = telemetry_pb2.CountsByLabel(counts=share.millijoules)
        yield telemetry_pb2.Measure(name=ENERGY.name, labels=labels)


def _version_telemetry(model: str, number: int, counts: Counts) -> telemetry_pb2.VersionTelemetry:
    return telemetry_pb2.VersionTelemetry(
        model=model,
        version=number,
        success_count=counts.successes,
        row_count=counts.rows,
        execution_count=counts.executions,
        error_counts=counts.errors,
        route_counts=counts.routes,
        batch_counts=_batch_counts(counts.batches),
        total=histogram_to_proto(counts.total),
        queue=histogram_to_proto(counts.queue),
        compute=histogram_to_proto(counts.compute),
        failed=histogram_to_proto(counts.failed),
        measures=_measures(counts),
        parts=part_measures(counts.parts),
    )


def _measures(counts: Counts) -> Iterator[telemetry_pb2.Measure]:
    """Yield what has no field of its own: a monitor that does not know one keeps it all the same."""
    if counts.row_capacity:
        yield telemetry_pb2.Measure(name=ROW_CAPACITY.name, count=counts.row_capacity)
    if counts.violations:
        yield telemetry_pb2.Measure(
            name=SCHEMA_VIOLATIONS.name, labels={"counts": counts.violations}
        )
    if counts.load_time.count:
        yield telemetry_pb2.Measure(
            name=LOAD_TIME.name, histogram=histogram_to_proto(counts.load_time)
        )


def _batch_counts(batches: Mapping[int, int]) -> Mapping[int, int]:
    if len(batches) <= MAX_BATCH_SIZES:
        return batches
    folded: Counter[int] = Counter()
    for rows, count in batches.items():
        folded[1 << max(rows - 1, 0).bit_length()] += count
    return folded


def timestamp(nanoseconds: int) -> timestamp_pb2.Timestamp:
    """A time since the Unix epoch as a message."""
    proto = timestamp_pb2.Timestamp()
    proto.FromNanoseconds(nanoseconds)
    return proto
