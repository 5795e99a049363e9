"""Tells that runs take longer than they did: evidence by minutes, one e-detector for each size of change.

A minute gives one number, the logarithm of a quantile of its run times. It is compared with the earlier
minutes of the same load. Minutes hang together, so that each is compared with what the one before has
it expected to be; what is left has to be above the margin and the error of the baseline. Evidence is
gathered and forgotten as in `evidence.py`; the threshold allows `alpha` false alarms a day. How minutes
spread and hang together is itself learnt, so the ratio's interval has to be above 1, too.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

MINUTES_A_DAY = 1440
SIZES = (0.25, 0.5, 1.0, 2.0)
"""Sizes of change that are bet on, in deviations of what a minute is off from the one before."""
LEARNING_MINUTES = 120
"""Nothing is judged before so many minutes are known, all loads together."""
BAND_MINUTES = 60
"""Nor at a load of which fewer minutes are known."""
MOST_BAND_MINUTES = 240
"""A load's baseline is learnt from so many minutes, and stays: what becomes slower slowly is found."""
MOST_BANDS = 64
LEAST_DEVIATION = 0.01
"""Run times of a minute are taken to spread by this at least: buckets are 1.1 % wide."""
USUAL_AFTER_MINUTES = MINUTES_A_DAY
"""What was slower for so long is how it is: it is learnt anew."""
_FARTHEST = 3.0
"""A minute bets with so many deviations at most: one bad minute is no evidence."""
_SURE = 1.0
"""The baseline's error that is allowed for, in deviations."""


class Load(NamedTuple):
    """A band of load: quarters of octaves of requests a minute and replica, eighths of rows a run."""

    rate: int
    rows: int

    @classmethod
    def of(cls, requests: float, rows: float) -> Load:
        """The band of a minute."""
        return cls(round(4 * math.log2(requests)), round(8 * math.log2(max(rows, 1.0))))

    @property
    def requests(self) -> float:
        """Requests a minute and replica, in the middle of the band."""
        return float(2.0 ** (self.rate / 4))

    @property
    def mean_rows(self) -> float:
        """Rows a run, in the middle of the band."""
        return float(2.0 ** (self.rows / 8))


@dataclass(slots=True)
class _Known:
    """What is known of the minutes of a load."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        off = value - self.mean
        self.mean += off / self.count
        self.squares += off * (value - self.mean)


@dataclass(frozen=True, slots=True)
class Slowdown:
    """A quantile of run times is larger than it was."""

    since_minute: int
    ratio: float
    low: float
    high: float
    """The interval of the ratio, at 95 %."""
    before: float
    """The quantile at this load before, in the unit that was fed."""
    load: Load

    @property
    def now(self) -> float:
        """The quantile at this load now."""
        return self.before * self.ratio


class Pace:
    """Watches one quantile of a version's run times, minute by minute."""

    def __init__(self, *, margin: float = 0.05, alpha: float = 0.005) -> None:
        """Less than `alpha` false alarms a day that it is larger by more than `margin`."""
        self._margin = math.log1p(margin)
        self._threshold = math.log(MINUTES_A_DAY * len(SIZES) / alpha)
        self._forget()

    def _forget(self) -> None:
        self._bands: dict[Load, _Known] = {}
        self._minutes = 0
        self._squares = self._pairs = self._products = self._pair_squares = 0.0
        self._before: tuple[int, float] | None = None
        self._wealth = [0.0] * len(SIZES)
        self._since = 0
        self._recent: deque[tuple[int, float]] = deque(maxlen=60)
        self._load = Load(0, 0)
        self._is_slower = False

    @property
    def deviation(self) -> float:
        """How far minutes of one load are from their mean."""
        return max(math.sqrt(self._squares / max(self._minutes, 1)), LEAST_DEVIATION)

    @property
    def correlation(self) -> float:
        """How much a minute is like the one before: rather more than was seen."""
        seen = self._products / self._pair_squares if self._pair_squares else 0.0
        return min(max(seen + 1 / math.sqrt(self._pairs + 1), 0.3), 0.95)

    def step(self, minute: int, load: Load, value: float) -> None:
        """Take in the quantile of a minute; minutes come in order, those without requests do not."""
        level = math.log(value)
        known = self._bands.get(load)
        if known is None:
            if len(self._bands) >= MOST_BANDS:
                return
            known = self._bands[load] = _Known()
        off = level - known.mean if known.count else 0.0
        if known.count >= BAND_MINUTES and self._minutes >= LEARNING_MINUTES:
            self._play(minute, known, load, off)
        if max(self._wealth) < self._threshold / 4 and not self._is_slower:
            self._learn(minute, known, level, off)
        self._before = (minute, off) if known.count >= 5 else None
        if self._is_slower and minute - self._since > USUAL_AFTER_MINUTES:
            self._forget()

    def _learn(self, minute: int, known: _Known, level: float, off: float) -> None:
        if known.count >= MOST_BAND_MINUTES:
            return
        if known.count >= 5:
            limit = 4 * self.deviation if self._minutes >= BAND_MINUTES else math.inf
            seen = min(max(off, -limit), limit)
            self._minutes += 1
            self._squares += seen * seen
            if self._before is not None and self._before[0] == minute - 1:
                last = min(max(self._before[1], -limit), limit)
                self._pairs += 1
                self._products += seen * last
                self._pair_squares += (seen * seen + last * last) / 2
        known.add(level)

    def _error(self, known: _Known) -> float:
        alike = (1 + self.correlation) / (1 - self.correlation)
        return self.deviation * math.sqrt(alike / known.count)

    def _play(self, minute: int, known: _Known, load: Load, off: float) -> None:
        unlikely = self._unlikely(minute, off, self._margin + _SURE * self._error(known))
        if not any(self._wealth):
            self._since = minute
            self._recent.clear()
        for place, size in enumerate(SIZES):
            gain = size * unlikely - size * size / 2
            self._wealth[place] = min(max(self._wealth[place] + gain, 0.0), self._threshold)
        self._recent.append((minute, off))
        self._load = load
        if max(self._wealth) >= self._threshold and not self._is_slower:
            seen = self._seen()
            self._is_slower = seen.low > 1 and math.log(seen.ratio) > self._margin
        elif max(self._wealth) < self._threshold / 2:
            self._is_slower = False

    def _unlikely(self, minute: int, off: float, allowed: float) -> float:
        """By how many deviations a minute is above what is allowed after the one before."""
        deviation, correlation = self.deviation, self.correlation
        over = off - allowed
        if self._before is not None and self._before[0] == minute - 1:
            over -= correlation * (max(self._before[1], -2 * deviation) - allowed)
            deviation *= math.sqrt(1 - correlation * correlation)
        return min(max(over / deviation, -_FARTHEST), _FARTHEST)

    @property
    def slowdown(self) -> Slowdown | None:
        """By how much it is larger than it was, where that is sure."""
        return self._seen() if self._is_slower else None

    def _seen(self) -> Slowdown:
        """The newest hour, at most, against the load's baseline."""
        known, offs = self._bands[self._load], [off for _, off in self._recent]
        mean = sum(offs) / len(offs)
        error = math.hypot(self._error(known), self._error(_Known(len(offs))))
        low, high = math.exp(mean - 1.96 * error), math.exp(mean + 1.96 * error)
        return Slowdown(self._since, math.exp(mean), low, high, math.exp(known.mean), self._load)
