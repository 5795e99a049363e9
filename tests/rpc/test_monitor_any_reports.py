"""Whatever a valid report says: the monitor takes it, answers every question after it, and starts again."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import timestamp_pb2
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from headrace.client import resource_messages
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import telemetry_pb2
from headrace.telemetry.histogram import MAX_COUNT
from headrace_monitor.adapters.window_store import FILE_NAME
from tests.rpc.monitors import (
    NOW,
    SECOND,
    RunningMonitor,
    report,
    running_monitor,
    seconds,
)

LARGEST = 2**48
"""What one report may say of anything."""

QUICK = settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate,),
    database=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))

Version = telemetry_pb2.VersionTelemetry


def from_below(largest: int) -> st.SearchStrategy[int]:
    """Whole numbers, the extremes often."""
    return st.sampled_from([0, 1, largest - 1, largest]) | st.integers(0, largest)


def names(least: int = 1) -> st.SearchStrategy[str]:
    """Names that are allowed: odd, long, empty where they may be."""
    odd = [
        "a",
        "_other",
        'a "b"\n\\',
        "\0",
        "\u2028",
        "é" * 128,
        "n" * 128,
        "1",
        "a b",
        "{}",
        "\x85",
    ]
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=128)
    return st.sampled_from(odd) | text


COUNTS = from_below(LARGEST)


def packed(found: dict[int, int], width: int, **others: Any) -> telemetry_pb2.Histogram:
    """Buckets as bytes, in any order; indexes may be beyond the last, counts of any width that they fit."""
    most = max(found.values(), default=0)
    width = next(each for each in (1, 2, 4, 8) if each >= width and most < 1 << 8 * each)
    return telemetry_pb2.Histogram(
        buckets=b"".join(index.to_bytes(2, "little") for index in found),
        bucket_counts=b"".join(count.to_bytes(width, "little") for count in found.values()),
        **others,
    )


INDEXES = st.sampled_from([0, 1, 1919, 1920, 1921, 2**16 - 1]) | st.integers(0, 1920)
PACKED_HISTOGRAMS = st.builds(
    packed,
    st.dictionaries(INDEXES, COUNTS, max_size=20),
    st.sampled_from([1, 2, 4, 8]),
    counts=st.dictionaries(st.integers(0, 480), COUNTS, max_size=2),
    sum_ns=from_below(2**63 - 1),
)
COARSE_HISTOGRAMS = st.builds(
    telemetry_pb2.Histogram,
    counts=st.dictionaries(
        st.sampled_from([-(2**31), -1, 0, 1, 479, 480, 481, 2**31 - 1]) | st.integers(0, 480),
        COUNTS,
        max_size=20,
    ),
    sum_ns=from_below(2**63 - 1),
)
HISTOGRAMS = PACKED_HISTOGRAMS | COARSE_HISTOGRAMS
VERSIONS = st.builds(
    Version,
    model=names(0),
    version=COUNTS,
    success_count=COUNTS,
    row_count=COUNTS,
    execution_count=COUNTS,
    error_counts=st.dictionaries(names(), COUNTS, max_size=8),
    route_counts=st.dictionaries(names(), COUNTS, max_size=8),
    batch_counts=st.dictionaries(from_below(2**31 - 1), COUNTS, max_size=8),
    total=HISTOGRAMS,
    queue=HISTOGRAMS,
    compute=HISTOGRAMS,
    failed=HISTOGRAMS,
)
LATEST_SECOND = 2**63 - 1
TIMES = st.builds(
    timestamp_pb2.Timestamp,
    seconds=st.sampled_from([1, NOW // SECOND - 90_000, NOW // SECOND, LATEST_SECOND])
    | st.integers(NOW // SECOND - 90_000, NOW // SECOND + 90_000),
    nanos=st.sampled_from([0, 1, 999_999_999]),
)
SENT = st.sampled_from([1, NOW - 5 * SECOND, NOW, NOW + 90_000 * SECOND, LATEST_SECOND * SECOND])
REPORTS = st.builds(
    telemetry_pb2.TelemetryReport,
    replica=names(),
    boot_id=names(),
    sequence=st.sampled_from([1, 2, 3, 4096, 4097, 2**63 - 1]) | st.integers(1, 2**63 - 1),
    start_time=TIMES,
    end_time=TIMES,
    versions=st.lists(VERSIONS, max_size=4),
    dropped_reports=COUNTS,
    last=st.booleans(),
)


async def ask_everything(monitor: RunningMonitor) -> int:
    """Ask every question and read every answer; how many requests there were in a day."""
    day: dict[str, Any] = {"window": seconds(86_400)}
    answers = [await monitor.query(**day, by_replica=each) for each in (False, True)]
    second: dict[str, Any] = {"window": seconds(1)}
    for wanted in (day, second):
        query = pb.QueryStatisticsRequest(**wanted)
        series = await monitor.stub.QuerySeries(pb.QuerySeriesRequest(query=query))
        answers.extend(series.steps)
    watch = monitor.stub.WatchStatistics(pb.WatchStatisticsRequest(query=query))
    answers.append(await watch.read())
    watch.cancel()
    for answer in answers:
        are_numbers(answer)
    for path in ("/api/statistics?window=86400", "/api/series?window=86400", "/readyz"):
        status, text = await monitor.get(path)
        assert (200, str) == (status, type(text))
        json.loads(text)
    status, page = await monitor.get("/metrics")
    assert 200 == status
    are_counters(page)
    return sum(version.success_count + version.error_count for version in answers[0].statistics)


def are_numbers(answer: pb.QueryStatisticsResponse) -> None:
    """Every number of an answer is one: from 0 up, within what counts may be."""
    for version in resource_messages.statistics_from_proto(answer).versions:
        maps = (version.error_counts, version.route_counts, version.batch_counts)
        counts = [version.success_count, version.error_count, version.row_count]
        counts += [count for each in maps for count in each.values()]
        assert all(0 <= count <= MAX_COUNT for count in counts)
        assert version.total.count >= 0
        assert 0 <= version.requests_per_second < math.inf
        assert 0 <= version.total.p50_seconds <= version.total.p999_seconds


def are_counters(page: str) -> None:
    """A scraper reads the page; no bucket is fuller than the next one."""
    for family in text_string_to_metric_families(page):
        if family.type != "histogram":
            continue
        before: dict[str, float] = {}
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "le"}
            if sample.name.endswith("_bucket"):
                place = str(sorted(labels.items()))
                assert before.get(place, 0) <= sample.value
                before[place] = sample.value


def test_arbitrary_valid_reports_end_nothing(tmp_path: Path) -> None:
    """The monitor takes any of them, answers, and after a restart answers the same."""
    search(tmp_path, QUICK)


@pytest.mark.toolchain
@pytest.mark.timeout(900)
def test_many_arbitrary_valid_reports_end_nothing(tmp_path: Path) -> None:
    """The same in a long search."""
    search(tmp_path, LONG)


def search(data: Path, effort: settings) -> None:
    """Lists of reports, ten of them after one another on one monitor's data."""
    rounds = iter(range(10**9))

    @effort
    @given(st.lists(REPORTS, min_size=1, max_size=4), st.none() | SENT)
    def check(reports: list[telemetry_pb2.TelemetryReport], sent_ns: int | None) -> None:
        asyncio.run(survives(data / f"{next(rounds) // 10}", reports, sent_ns))

    check()


async def survives(
    data: Path, reports: list[telemetry_pb2.TelemetryReport], sent_ns: int | None
) -> None:
    """Send reports, ask, start again, ask again."""
    async with running_monitor(data) as monitor:
        assert [each.sequence for each in reports] == await monitor.send(reports, sent_ns)
        counted = await ask_everything(monitor)
    async with running_monitor(data) as monitor:
        assert counted == await ask_everything(monitor)


def full(sequence: int, **changes: Any) -> telemetry_pb2.TelemetryReport:
    """A report in which everything is as large as it may be."""
    keys = [f"R{number}" for number in range(4096)]
    histogram = telemetry_pb2.Histogram(counts=dict.fromkeys(range(481), LARGEST), sum_ns=2**63 - 1)
    version = Version(
        model="digits",
        version=1,
        success_count=LARGEST,
        row_count=LARGEST,
        execution_count=LARGEST,
        error_counts=dict.fromkeys(keys, LARGEST),
        route_counts=dict.fromkeys(keys, LARGEST),
        batch_counts=dict.fromkeys(range(2**31 - 4096, 2**31), LARGEST),
        total=histogram,
        queue=histogram,
        compute=histogram,
        failed=histogram,
    )
    return report("a", sequence, version, **changes)


async def test_sums_stay_at_what_can_be_told(tmp_path: Path) -> None:
    """Sums that would outgrow 64 bits stay at the largest count, over a restart too."""
    async with running_monitor(tmp_path) as monitor:
        assert list(range(1, 41)) == await monitor.send(map(full, range(1, 41)))
        assert 2 * MAX_COUNT == await ask_everything(monitor)
    async with running_monitor(tmp_path) as monitor:
        (version,) = (await monitor.query()).statistics
        await ask_everything(monitor)
    assert (MAX_COUNT, MAX_COUNT) == (version.success_count, version.error_count)
    assert {MAX_COUNT} == set(version.total.histogram.counts.values())
    assert 481 * MAX_COUNT == version.total.count


async def test_what_replicas_dropped_stays_at_what_can_be_stored(tmp_path: Path) -> None:
    """Invented numbers of dropped reports, however many, do not outgrow the store's 64 bits."""
    async with running_monitor(tmp_path) as monitor:
        await monitor.send([report("a", 1, dropped=LARGEST)])
    with sqlite3.connect(tmp_path / FILE_NAME) as database:
        database.execute("UPDATE dropped SET reports = ?", (2**63 - LARGEST,))
    database.close()
    async with running_monitor(tmp_path) as monitor:
        for session in range(3):
            more = report("a", 1, boot_id=f"session {session}", dropped=LARGEST)
            assert [1] == await monitor.send([more])
        await ask_everything(monitor)
