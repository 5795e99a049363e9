"""The log keeps so many changes, and so many bytes of them: pure, in rows."""

from __future__ import annotations

import pytest

from headrace_registry.domain.history.log_budget import LEAST, LogBudget


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ([1] * 2000, 1000),
        ([100] * 500, 1000),
        ([100] * 1001, 1000),
        ([1000] * 200, 100),
        ([1000] * 200 + [1] * 2000, 1000),
        ([1] * 900 + [99_000], 1000),
        ([100_000] * 200, LEAST),
        ([10**9], 1000),
    ],
)
def test_large_changes_leave_room_for_fewer(sizes: list[int], kept: int) -> None:
    """Of small ones so many stay as there may be, of large ones so many as fit, and a few of any."""
    budget = LogBudget(1000, 100_000)
    assert kept == [budget.kept_with(size) for size in sizes][-1]
