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
