"""What is told to which of two monitors: a report that one may have goes to no other."""

from __future__ import annotations

from collections import Counter

import pytest

from headrace.monitor.v1.telemetry_pb2 import TelemetryReport
from headrace_inference.adapters.telemetry import TelemetryBuffer
from headrace_inference.adapters.telemetry_sending import by_preference
from headrace_inference.domain.versions.statistics import StatisticsRegistry


def buffer_of(intervals: int, most: int = 600) -> tuple[TelemetryBuffer, StatisticsRegistry]:
    """A buffer of so many reports: the n-th has n errors."""
    book = StatisticsRegistry()
    buffer = TelemetryBuffer("a", book, most)
    for number in range(1, intervals + 1):
        collect(buffer, book, number)
    return buffer, book


def collect(buffer: TelemetryBuffer, book: StatisticsRegistry, errors: int) -> None:
    for _ in range(errors):
        book.of("m", 1).record_error("QUEUE_FULL", 5)
    buffer.collect()


def numbers(reports: list[TelemetryReport]) -> list[tuple[int, int]]:
    """Sequence numbers, and errors."""
    return [
        (each.sequence, sum(sum(one.error_counts.values()) for one in each.versions))
        for each in reports
    ]


@pytest.mark.parametrize("sent", range(5))
async def test_what_a_monitor_may_have_goes_to_no_other(sent: int) -> None:
    buffer, book = buffer_of(4)
    first = buffer.boot_id
    for sequence in range(1, sent + 1):
        buffer.sending(sequence)
    buffer.acknowledge(min(sent, 1))
    left = buffer.leave()
    collect(buffer, book, 5)

    ending = [(sent + 1, 0)] if sent else []
    assert [(number, number) for number in range(2, sent + 1)] + ending == numbers(left)
    assert [False] * max(0, sent - 1) + [True] * len(ending) == [each.last for each in left]
    assert {first} >= {each.boot_id for each in left}
    others = buffer.after(0)
    assert [(number - sent, number) for number in range(sent + 1, 6)] == numbers(others)
    assert {buffer.boot_id} == {each.boot_id for each in others} != {first}


async def test_reports_that_were_dropped_are_missing_in_one_session_alone() -> None:
    """Of five, the first was sent; three went before they were: the next monitor hears of those."""
    buffer, book = buffer_of(1, most=1)
    buffer.sending(1)
    for errors in range(2, 6):
        collect(buffer, book, errors)
    left = buffer.leave()
    assert [(2, 0)] == numbers(left)
    assert [1] == [each.dropped_reports for each in left]
    assert [(4, 5)] == numbers(buffer.after(0))
    assert [3] == [each.dropped_reports for each in buffer.after(0)]
    buffer.sending(4)
    assert [3, 3] == [each.dropped_reports for each in buffer.leave()]
    collect(buffer, book, 1)
    assert [(1, 1, 0)] == [(*numbers([each])[0], each.dropped_reports) for each in buffer.after(0)]
    assert 4 == buffer.dropped


def test_replicas_spread_over_monitors_and_stay_where_they_are() -> None:
    names = [f"replica-{number}" for number in range(300)]
    two = {name: by_preference(name, ["a:1", "b:1"])[0] for name in names}
    assert two == {name: by_preference(name, ["b:1", "a:1", "a:1"])[0] for name in names}
    assert min(Counter(two.values()).values()) > 100
    three = {name: by_preference(name, ["a:1", "b:1", "c:1"])[0] for name in names}
    assert {"c:1"} == {three[name] for name in names if three[name] != two[name]}
