"""What a replica reports, as a real monitor takes it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from headrace.service.serving import open_background
from headrace.tls.peers import PlainPeer
from headrace_inference.adapters.telemetry import (
    MAX_BATCH_SIZES,
    MAX_VERSIONS,
    TelemetryBuffer,
)
from headrace_inference.adapters.telemetry_sending import flush_telemetry, send_telemetry
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.rpc.monitors import NOW, report, running_monitor


def book_of(models: int) -> StatisticsRegistry:
    """A book in which every one of so many models has one error."""
    book = StatisticsRegistry()
    for number in range(models):
        book.of(f"m{number}", 1).record_error("QUEUE_FULL", 5)
    return book


def sizes(buffer: TelemetryBuffer) -> list[int]:
    return [len(each.versions) for each in buffer.after(0)]


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (0, [0]),
        (1, [1]),
        (MAX_VERSIONS, [100]),
        (MAX_VERSIONS + 1, [100, 1]),
        (250, [100, 100, 50]),
    ],
)
async def test_an_interval_has_reports_that_every_monitor_takes(
    models: int, expected: list[int]
) -> None:
    """Many versions go into several reports, numbered on, of the same interval."""
    buffer = TelemetryBuffer("a", book_of(models), 10)
    buffer.collect()
    reports = buffer.after(0)
    assert expected == sizes(buffer)
    assert list(range(1, len(expected) + 1)) == [each.sequence for each in reports]
    assert 1 == len({(str(each.start_time), str(each.end_time)) for each in reports})


async def test_a_full_buffer_gives_up_whole_intervals() -> None:
    """The bound is on intervals: versions, however many, do not shorten what is kept."""
    book = book_of(150)
    buffer = TelemetryBuffer("a", book, 2)
    for _ in range(4):
        book.of("m0", 1).record_error("QUEUE_FULL", 5)
        buffer.collect()
    assert [1, 1] == sizes(buffer)
    assert 3 == buffer.dropped
    assert [2, 3] == [each.dropped_reports for each in buffer.after(0)]


async def test_every_count_reaches_a_monitor_with_the_lowest_limit(tmp_path: Path) -> None:
    """No count of 350 versions is lost to the bound on one report."""
    buffer = TelemetryBuffer("a", book_of(350), 10)
    buffer.collect()
    async with running_monitor(tmp_path, max_report_versions=MAX_VERSIONS) as monitor:
        await flush_telemetry(buffer, PlainPeer(monitor.channel), 10)
        _, page = await monitor.get("/metrics")
    assert (0, 0) == (len(buffer), buffer.dropped)
    counted = [line for line in page.splitlines() if line.startswith("headrace_requests_total{")]
    assert (350, {"1.0"}) == (len(counted), {line.split()[-1] for line in counted})


async def test_many_batch_sizes_are_folded() -> None:
    """More sizes than a monitor takes count at powers of two; none is lost."""
    book = StatisticsRegistry()
    statistics = book.of("digits", 1)
    statistics._new.batches.update(dict.fromkeys(range(1, MAX_BATCH_SIZES + 2), 1))
    statistics._new.executions = MAX_BATCH_SIZES + 1
    buffer = TelemetryBuffer("a", book, 10)
    buffer.collect()
    (version,) = buffer.after(0)[0].versions
    assert {2**exponent: max(1, 2 ** (exponent - 1)) for exponent in range(10)} | {
        1024: 489
    } == dict(version.batch_counts)


class Told(logging.Handler):
    """What the sender logs, until so many records are there."""

    def __init__(self, records: int) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []
        self.all = asyncio.Event()
        self._expected = records

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        self.records.append(record)
        if len(self.records) == self._expected:
            self.all.set()


async def test_a_full_monitor_is_told_once_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica for which there is no room keeps its reports, and warns once with the reason."""
    told, log = Told(2), logging.getLogger(send_telemetry.__module__)
    monkeypatch.setattr(log, "handlers", [told])
    monkeypatch.setattr(log, "level", logging.DEBUG)
    buffer = TelemetryBuffer("b", book_of(1), 10)
    buffer.collect()
    async with running_monitor(tmp_path, max_replicas=1) as monitor:
        await monitor.send([report("a", 1, end_ns=NOW)])
        async with open_background() as jobs, asyncio.timeout(20):
            jobs.run(send_telemetry(buffer, PlainPeer(monitor.channel)))
            await told.all.wait()
    assert ["WARNING", "DEBUG"] == [each.levelname for each in told.records]
    assert "max_replicas" in told.records[0].getMessage()
    assert (1, 0) == (len(buffer), buffer.dropped)
