"""What the statistics of a version keep, whatever its callers send."""

from __future__ import annotations

from headrace_inference.domain.versions.statistics import MAX_BATCH_SIZES, VersionCounters

MOST_ROWS = 5000


def test_callers_that_choose_their_batch_sizes_do_not_grow_the_statistics() -> None:
    """Beyond a bound runs count at powers of two: no run is lost, and totals and durations agree."""
    statistics = VersionCounters()
    for rows in range(1, MOST_ROWS + 1):
        statistics.record_run([], rows, (0, 1, 2, 3))
    by_size, totals = statistics.by_batch_size, statistics.totals()
    assert {size: parts.count for size, parts in by_size.items()} == totals.batches
    assert (MOST_ROWS, sum(range(MOST_ROWS + 1))) == (totals.executions, totals.rows)
    assert len(by_size) == MAX_BATCH_SIZES + 3
    assert {1024: 1, 2048: 1024, 4096: 2048, 8192: 904} == {
        size: parts.count for size, parts in by_size.items() if size >= 1024
    }


def test_runs_had_room_for_what_was_set_when_they_ran() -> None:
    """Runs that are not counted yet keep their limit; one that took more than it had as much room."""
    statistics = VersionCounters()
    statistics.set_max_rows(8)
    statistics.record_run([], 2, (0, 1, 2, 3))
    statistics.record_run([], 12, (0, 1, 2, 3))
    statistics.set_max_rows(1)
    statistics.record_run([], 1, (0, 1, 2, 3))
    assert (15, 8 + 12 + 1) == (statistics.totals().rows, statistics.totals().row_capacity)


def test_a_load_is_told_before_anything_was_served() -> None:
    """A version that was loaded and not called has something to report, once."""
    statistics = VersionCounters()
    statistics.record_load(1_500_000_000)
    drained, again = statistics.drain(), statistics.drain()
    assert (1, 1_500_000_000) == (drained.load_time.count, drained.load_time.sum_ns)
    assert (False, True) == (drained.idle, again.idle)
    assert 1 == statistics.totals().load_time.count
