"""A file of an older monitor is brought to today's schema: all counts stay, or the file stays as it was.

`monitor_schema_2/` holds a file that the monitor of commit 87fd008 wrote, and what that monitor answered.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from google.protobuf import text_format

from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace_monitor.adapters.store_schema import SCHEMA_VERSION
from headrace_monitor.adapters.window_store import FILE_NAME, open_window_store
from tests.rpc.monitors import (
    MILLISECOND,
    NOW,
    SECOND,
    FakeClock,
    report,
    running_monitor,
    telemetry,
)
from tests.rpc.monitors import seconds as length

FIXTURE = Path(__file__).parent / "monitor_schema_2"
WRITTEN_UNTIL = NOW + 65 * SECOND


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the file of the older monitor."""
    (tmp_path / FILE_NAME).write_bytes(gzip.decompress((FIXTURE / "monitor.db.gz").read_bytes()))
    return tmp_path


def schema_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def files_in(folder: Path) -> dict[str, int]:
    """Names and sizes."""
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything in a file."""
    tables = ("cells", "lives", "totals", "dropped", "reports", "floors")
    with closing(sqlite3.connect(path)) as database:
        return {
            table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr) for table in tables
        }


def samples(page: str) -> Iterator[str]:
    """The samples of a scrape that are of models and replicas, and not 0."""
    for line in page.splitlines():
        other = line.startswith(
            ("#", "headrace_grpc", "headrace_alert", "headrace_monitor_window_bytes")
        )
        if line.startswith("headrace_") and not other and not line.endswith(" 0.0"):
            yield line


async def test_a_migration_is_logged_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever waits for a large file sees why; later starts, and new files, have nothing to tell."""
    caplog.set_level(logging.INFO, "headrace_monitor.adapters.store_schema")
    for data in (folder / "new", folder, folder):
        async with open_window_store(data):
            pass
    told = [(vars(each)["from"], vars(each)["to"]) for each in caplog.records]
    assert [(2, SCHEMA_VERSION)] == told


async def test_all_counts_of_an_older_file_stay(folder: Path) -> None:
    """The monitor answers and exports what the older one did, also after another start."""
    text = (FIXTURE / "statistics.textproto").read_text()
    exported = set((FIXTURE / "metrics.txt").read_text().splitlines())
    for schema in (2, SCHEMA_VERSION):
        assert schema == schema_of(folder / FILE_NAME)
        async with running_monitor(folder, FakeClock(WRITTEN_UNTIL)) as monitor:
            answer = await monitor.query(window=length(3600), by_replica=True)
            _, page = await monitor.get("/metrics")
        same_counts(text_format.Parse(text, pb.QueryStatisticsResponse()), answer)
        assert exported == set(samples(page))


def same_counts(expected: pb.QueryStatisticsResponse, answer: pb.QueryStatisticsResponse) -> None:
    """Compare with the older monitor: its buckets were four of those of now, so quantiles moved."""
    moved = zip(latencies_of(expected), latencies_of(answer), strict=True)
    for before, now in moved:
        for name in QUANTILES:
            was, found = (getattr(each, name).ToNanoseconds() for each in (before, now))
            assert was == pytest.approx(found, rel=0.06)
        for each in (before, now):
            for name in (*QUANTILES, "below_range", "above_range"):
                each.ClearField(name)
        for name in ("buckets", "bucket_counts"):
            now.histogram.ClearField(name)
    for before_it, now_it in zip(expected.statistics, answer.statistics, strict=True):
        assert before_it.requests_per_second <= now_it.requests_per_second
        now_it.requests_per_second = before_it.requests_per_second  # then of the whole window
    assert 57 == answer.covered_time.seconds
    for name in ("covered", "covered_time"):
        answer.ClearField(name)
    assert expected == answer


QUANTILES = ("p50", "p90", "p95", "p99", "p999")


def latencies_of(answer: pb.QueryStatisticsResponse) -> list[pb.Latency]:
    """All of them, in their order."""
    found: list[pb.Latency] = []
    for version in answer.statistics:
        found += [version.total, version.queue, version.compute, version.failed]
        found += [each.latency for each in version.measures if each.HasField("latency")]
    return found


async def test_reports_of_before_count_no_second_time(folder: Path) -> None:
    """Sessions come along: what is sent again is known, what is new adds up with what was there."""
    async with running_monitor(folder, FakeClock(WRITTEN_UNTIL + SECOND)) as monitor:
        version = telemetry([MILLISECOND], model="big", version=3)
        ends_ns = (WRITTEN_UNTIL, WRITTEN_UNTIL, WRITTEN_UNTIL + SECOND)
        for number, end_ns in enumerate(ends_ns, start=1):
            await monitor.send([report("b", number, version, end_ns=end_ns, boot_id="later")])
        (found,) = (await monitor.query(window=length(3600), model="big")).statistics
    assert 2 * 2**48 + 1 == found.success_count


KILLED = """
import os, signal, sqlite3, sys
from headrace_monitor.adapters import store_schema
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.execute("PRAGMA cache_size = 2")  # so that pages are written before the end
database.execute("BEGIN IMMEDIATE")
store_schema.migrate(database)
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_a_migration_that_is_killed_changes_nothing(folder: Path) -> None:
    """Killed before its end, it leaves every row as it was; the next start does it anew."""
    before = rows_of(folder / FILE_NAME)
    path = folder / FILE_NAME
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, path)
    assert -signal.SIGKILL == await process.wait()
    assert files_in(folder)[f"{FILE_NAME}-wal"] > 10_000  # what it had written
    assert (2, before) == (schema_of(path), rows_of(path))
    await test_all_counts_of_an_older_file_stay(folder)


async def test_an_older_file_that_is_damaged_is_set_aside_as_it_was(folder: Path) -> None:
    """A tally that cannot be read fails the whole migration: what is set aside is the older file."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as database, database:
        database.execute("UPDATE totals SET tally = x'0011223344556677' WHERE model = 'iris'")
    before = rows_of(folder / FILE_NAME)
    async with open_window_store(folder) as (_, snapshot):
        assert {} == snapshot.totals
    (name,) = (each for each in files_in(folder) if ".damaged-" in each)
    aside = folder / name
    assert (2, before) == (schema_of(aside), rows_of(aside))
