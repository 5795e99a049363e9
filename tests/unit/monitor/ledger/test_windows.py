"""Windows and spans: where a report counts, what is kept, and which windows answer a question."""

from __future__ import annotations

import itertools

import pytest

from headrace.telemetry.measures import SUCCESSES
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ledger.windows import Resolution, Windows, resolutions
from headrace_monitor.domain.queries import time_ranges
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Series
from headrace_monitor.domain.telemetry.tally import Tally

DAY = resolutions(24)
NOW = 1_000_000
"""A point in time, in seconds; a multiple of 10, not of 60."""

LIMIT = 64 * 2**20
SERIES = Series("digits", 1, "a")


def ns(seconds: float) -> int:
    return round(seconds * NANOSECONDS)


def at(time_ns: int) -> Moment:
    """A moment at which both times agree."""
    return Moment(time_ns, time_ns)


def new_windows(kept: tuple[Resolution, ...] = DAY, limit: int = LIMIT) -> Windows:
    """Windows that know what time it is."""
    windows = Windows(kept, limit)
    windows.prune(at(ns(NOW)))
    return windows


def some(requests: int) -> bytes:
    """An encoded tally of so many requests."""
    return encoding.encode(Tally({SUCCESSES: requests}))


def counts(
    windows: Windows, resolution: int, first: int = 0, last: int = 2 * NOW
) -> dict[int, int]:
    """By window, the requests answered well of every series."""
    found: dict[int, int] = {}
    for start, _, encoded in windows.between(resolution, first, last):
        found[start] = found.get(start, 0) + encoding.decode(encoded)[SUCCESSES]
    return found


@pytest.mark.parametrize(
    ("seconds", "time", "window"),
    [
        (1, 59.2, 59),
        (1, 60, 59),  # what ends on the full second is of the second before
        (1, 60.000000001, 60),
        (10, 60, 50),
        (10, 60.5, 60),
        (60, 119, 60),
        (60, 120, 60),
    ],
)
def test_an_interval_counts_where_it_ends(seconds: int, time: float, window: int) -> None:
    """A window of s seconds that starts at w covers (w, w + s]."""
    assert window == Resolution(seconds, 600).window_of(ns(time))


def test_reports_add_up_in_every_resolution() -> None:
    """What ends in one window adds up there, at each resolution by itself."""
    windows = new_windows()
    for time in (NOW + 0.5, NOW + 0.9, NOW + 1.5, NOW + 10.5):
        windows.add(SERIES, ns(time), some(1))
    assert {NOW: 2, NOW + 1: 1, NOW + 10: 1} == counts(windows, 1)
    assert {NOW: 3, NOW + 10: 1} == counts(windows, 10)
    assert {NOW - NOW % 60: 4} == counts(windows, 60)


def test_a_late_report_counts_in_its_own_window() -> None:
    """A report that comes late merges into the windows of its time, as far as those are kept."""
    windows = new_windows()
    windows.prune(at(ns(NOW)))
    late = NOW - 3600 + 0.5
    changed = windows.add(SERIES, ns(late), some(3))
    assert [10, 60] == [cell.resolution for cell in changed]
    assert {NOW - 3600: 3} == counts(windows, 10)


def test_a_report_older_than_all_windows_counts_in_none() -> None:
    """A report from before the retention changes nothing."""
    windows = new_windows()
    windows.prune(at(ns(NOW)))
    assert [] == windows.add(SERIES, ns(NOW - 25 * 3600), some(3))


@pytest.mark.parametrize(("resolution", "kept_seconds"), [(1, 600), (10, 7200), (60, 86400)])
def test_windows_go_when_they_are_too_old(resolution: int, kept_seconds: int) -> None:
    """Each resolution keeps its windows for its time and no longer."""
    windows = new_windows()
    windows.add(SERIES, ns(NOW + 1), some(1))
    windows.prune(at(ns(NOW + kept_seconds)))
    assert 1 == sum(counts(windows, resolution).values())
    windows.prune(at(ns(NOW + kept_seconds + 2 * resolution)))
    assert 0 == sum(counts(windows, resolution).values())


def test_nothing_kept_is_no_memory() -> None:
    """When the last window is gone, so is all that was counted as held."""
    windows = new_windows()
    for second in range(50):
        windows.add(SERIES, ns(NOW + second), some(second))
    assert windows.size_bytes > 0
    windows.prune(at(ns(NOW + 2 * 86400)))
    assert 0 == windows.size_bytes


def test_over_the_bound_the_oldest_windows_go() -> None:
    """Memory stays under the bound, and what remains are the newest windows."""
    limit = 40_000
    windows = new_windows((Resolution(1, 600),), limit)
    for second in range(500):
        windows.prune(at(ns(NOW + second + 1)))
        windows.add(SERIES, ns(NOW + second + 0.5), some(1))
        assert windows.size_bytes <= limit
    left = sorted(counts(windows, 1))
    assert list(range(left[0], NOW + 500)) == left
    assert left[0] == windows.floors[1] > NOW


def test_what_was_dropped_for_memory_does_not_come_back() -> None:
    """A late report does not open a window below those that had to go."""
    windows = new_windows((Resolution(1, 600),), 1000)
    for second in range(20):
        windows.prune(at(ns(NOW + second + 1)))
        windows.add(SERIES, ns(NOW + second + 0.5), some(1))
    assert [] == windows.add(SERIES, ns(NOW + 0.7), some(1))


@pytest.mark.parametrize(
    ("window", "age", "resolution"),
    [
        (1, 0, 1),
        (60, 0, 1),
        (599, 0, 1),
        (600, 0, 10),
        (3599, 0, 10),
        (3600, 0, 60),
        (86400, 0, 60),
        (60, 539, 1),
        (60, 541, 10),  # windows of a second do not go back so far
        (60, 7200, 60),
        (1800, 6000, 60),
    ],
)
def test_a_window_is_answered_by_the_coarsest_resolution_that_cuts_it_finely(
    window: int, age: int, resolution: int
) -> None:
    """At least 60 windows make an answer where windows as fine are still kept."""
    end = NOW - age
    assert resolution == time_ranges.for_window(DAY, ns(end - window), ns(end), ns(NOW)).seconds


@pytest.mark.parametrize(
    ("floors", "resolution"),
    [({1: NOW - 61}, 1), ({1: NOW - 59}, 10), ({1: NOW - 5, 10: NOW - 10}, 60)],
)
def test_windows_that_were_dropped_early_do_not_answer(
    floors: dict[int, int], resolution: int
) -> None:
    """Coarser ones do, which are dropped later."""
    found = time_ranges.for_window(DAY, ns(NOW - 60), ns(NOW), ns(NOW), floors)
    assert resolution == found.seconds


def test_the_finest_windows_go_first() -> None:
    """When memory is short, seconds go before tens, and tens before minutes; the newest of each stay."""
    windows = new_windows(DAY, 200_000)
    for second in range(0, 4000, 5):
        windows.prune(at(ns(NOW + second + 1)))
        windows.add(SERIES, ns(NOW + second + 0.5), some(1))
    left = [sorted(counts(windows, each.seconds, last=3 * NOW)) for each in DAY]
    kept = [NOW + 4000 - starts[0] for starts in left]
    assert windows.size_bytes <= 200_000
    assert kept[0] < kept[1] < kept[2]
    assert kept[2] >= 3600
    assert len(left[0]) >= 60


@pytest.mark.parametrize(
    ("seconds", "start", "end", "time_range"),
    [
        (1, NOW - 60, NOW, (NOW - 60, NOW - 1, NOW - 60, NOW)),
        (1, NOW - 59.5, NOW, (NOW - 60, NOW - 1, NOW - 60, NOW)),
        (10, NOW - 615, NOW - 15, (NOW - 620, NOW - 20, NOW - 620, NOW - 10)),
        (60, NOW - 7200, NOW, (NOW - 7240, NOW - 40, NOW - 7240, NOW)),  # ends now, not to come
    ],
)
def test_a_span_begins_and_ends_with_windows(
    seconds: int, start: float, end: float, time_range: tuple[int, int, int, float]
) -> None:
    """The start is rounded down and the end up to a window's, but not beyond the present."""
    found = time_ranges.time_range_of(Resolution(seconds, 86400), ns(start), ns(end), ns(NOW))
    first, last, start_seconds, end_seconds = time_range
    assert (first, last) == (found.first, found.last)
    assert (ns(start_seconds), ns(end_seconds)) == (found.start_ns, found.end_ns)


@pytest.mark.parametrize(
    ("window", "step", "length", "resolution"),
    [
        (60, 0, 1, 1),
        (300, 5, 5, 1),
        (300, 10, 10, 10),
        (300, 15, 15, 1),  # exact from seconds, not from tens
        (600, 60, 60, 60),
        (3600, 1, 10, 10),  # seconds do not go back so far
        (3600, 0, 60, 60),
        (3600, 25, 30, 10),
        (86400, 1, 120, 60),  # 1000 steps at most
        (90, 0, 2, 1),
    ],
)
def test_steps_are_whole_windows(window: int, step: int, length: int, resolution: int) -> None:
    """A step is rounded up to what the kept windows and the limit of 1000 steps allow."""
    steps = time_ranges.steps_of(DAY, ns(NOW - window), ns(NOW), ns(step), ns(NOW))
    assert {resolution} == {each.resolution for each in steps}
    assert {ns(length)} == {each.end_ns - each.start_ns for each in steps[:-1]}
    assert len(steps) <= time_ranges.MAX_STEPS
    assert all(step.end_ns == after.start_ns for step, after in itertools.pairwise(steps))
    assert ns(NOW) == steps[-1].end_ns
    assert 0 == steps[0].start_ns % ns(length)


def test_every_window_of_a_series_is_in_one_step() -> None:
    """Steps neither share a window nor leave one out."""
    for step in (0, 1, 7, 10, 30, 61):
        steps = time_ranges.steps_of(DAY, ns(NOW - 301.5), ns(NOW - 0.5), ns(step), ns(NOW))
        resolution = steps[0].resolution
        starts = [start for each in steps for start in range(each.first, each.last + 1, resolution)]
        assert list(range(steps[0].first, steps[-1].last + 1, resolution)) == starts
