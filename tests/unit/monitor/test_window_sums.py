"""Sums of windows: what is remembered is what the windows hold, also after they change."""

from __future__ import annotations

import random

from headrace.telemetry.measures import SUCCESSES
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ledger.windows import WindowKey, Windows, resolutions
from headrace_monitor.domain.queries.window_sums import WindowSums
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Series
from headrace_monitor.domain.telemetry.tally import Tally

NOW = 1_000_000


def test_sums_are_what_windows_hold_after_every_change() -> None:
    """Reports of now and late ones, windows that go and come back: a remembered sum is never an old one."""
    chance = random.Random(1)
    windows = Windows(resolutions(24), 60_000)
    sums = WindowSums(windows, 20_000)
    for step in range(800):
        now_ns = (NOW + step // 20) * NANOSECONDS
        windows.prune(Moment(now_ns, now_ns))
        series = Series("digits", chance.choice((1, 2)), f"r{chance.randrange(30)}")
        late_ns = chance.choice((0, 0, 0, 5, 30)) * NANOSECONDS
        windows.add(series, now_ns - late_ns, encoding.encode(Tally({SUCCESSES: 1})))
        for seconds in (1, 10, 60):
            start = (NOW + step // 20 - chance.randrange(40)) // seconds * seconds
            assert direct(windows, seconds, start) == counted(sums, seconds, start)


def direct(windows: Windows, seconds: int, start: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for _, series, encoded in windows.between(seconds, start, start):
        count = encoding.decode(encoded)[SUCCESSES]
        found[series.version] = found.get(series.version, 0) + count
    return found


def counted(sums: WindowSums, seconds: int, start: int) -> dict[int, int]:
    return {
        series.version: encoding.decode_sum(parts)[SUCCESSES]
        for series, parts in sums.of(WindowKey(seconds, start)).items()
    }
