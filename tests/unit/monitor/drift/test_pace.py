"""Versions that take longer than they did are found, and a daily load alarms nobody."""

from __future__ import annotations

import pytest

from benchmarks.paces import CHANGES, MEDIAN, TAIL, Change, watch
from headrace_monitor.domain.drift.pace import USUAL_AFTER_MINUTES, Load, Pace

LOAD = Load.of(1200, 1)


def test_a_daily_load_is_quiet() -> None:
    """Run times go up and down with the load by a quarter, over 5 days."""
    assert 0 == sum(watch(seed, Change("quiet"), 5).false for seed in range(3))


@pytest.mark.parametrize(("change", "most"), [(CHANGES[0], 300), (CHANGES[1], 40)])
def test_slower_runs_are_found_and_measured(change: Change, most: int) -> None:
    """10 % within hours, 30 % within minutes; the ratio that is told is right."""
    found = watch(1, change, 0)
    assert 0 == found.false
    assert found.delay is not None
    assert found.delay <= most
    assert found.ratio == pytest.approx(change.median, rel=0.06)


def test_a_slower_tail_is_found_by_the_tail() -> None:
    """The median is as it was."""
    found = watch(1, CHANGES[2], 0)
    assert (0, TAIL) == (found.false, found.named)
    assert MEDIAN != found.named


def run(pace: Pace, minutes: range, value: float, load: Load = LOAD) -> None:
    """Minutes that are alike but for one hundredth."""
    for minute in minutes:
        pace.step(minute, load, value * (1.01 if minute % 2 else 0.99))


def test_it_tells_since_when_and_ends_when_runs_are_as_before() -> None:
    """Since the first slow minute, from and to what; fast minutes speak against it."""
    pace = Pace()
    run(pace, range(200), 0.002)
    run(pace, range(200, 230), 0.0026)
    found = pace.slowdown
    assert found is not None
    assert abs(found.since_minute - 200) <= 1
    assert found.low <= 1.3 <= found.high
    assert found.before == pytest.approx(0.002, rel=0.01)
    assert found.now == pytest.approx(0.0026, rel=0.02)
    assert LOAD == found.load
    run(pace, range(230, 250), 0.002)
    assert pace.slowdown is None


def test_another_load_is_no_slowdown() -> None:
    """Twice the rows a run take twice as long: that load is learnt for itself."""
    pace = Pace()
    run(pace, range(200), 0.002)
    run(pace, range(200, 400), 0.004, Load.of(1200, 2))
    assert pace.slowdown is None
    run(pace, range(400, 430), 0.0052, Load.of(1200, 2))
    assert pace.slowdown is not None


def test_one_bad_minute_is_no_evidence() -> None:
    """A minute a hundred times as slow, every hour."""
    pace = Pace()
    run(pace, range(200), 0.002)
    for hour in range(10):
        first = 200 + 60 * hour
        pace.step(first, LOAD, 0.2)
        run(pace, range(first + 1, first + 60), 0.002)
        assert pace.slowdown is None


def test_after_a_day_it_is_how_it_is() -> None:
    """What stays slower is learnt anew."""
    pace = Pace()
    run(pace, range(200), 0.002)
    run(pace, range(200, 200 + USUAL_AFTER_MINUTES), 0.0026)
    assert pace.slowdown is not None
    run(pace, range(200 + USUAL_AFTER_MINUTES, 700 + USUAL_AFTER_MINUTES), 0.0026)
    assert pace.slowdown is None
