"""Gathers evidence that shares are not a reference's: e-detectors, one for each event and size of change.

For an event whose share was at most u (the upper end of the reference's interval, and the margin), each
step multiplies a wealth by the likelihood ratio of a larger share p against u. While the share is at
most u, no such bet gains on average, so that a wealth of c, begun anew whenever it falls below 1, is
reached in c steps or more, on average. With c = steps a day x tests / alpha, all tests together alarm
on nothing less than alpha times a day. Nothing is assumed of when a change begins, and good rows from
before it cost nothing, since losses are forgotten at each new beginning. That is also when the change
began.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace_monitor.domain.drift.events import Event, Ints
from headrace_monitor.domain.drift.proportion_bounds import Floats, upper_bound

STEP_SECONDS = 20
"""Evidence is looked at so often."""

STEPS_A_DAY = 24 * 3600 // STEP_SECONDS

CHANGES = (0.03, 0.1, 0.3, 0.9)
"""Sizes of change that are bet on, in the angle 2 asin(sqrt(share)): at a share of a half, 1.5,
5, 15 and 39 points. Small ones gather evidence over hours, large ones within a minute."""

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Bets:
    """The tests of a panel: one-sided, each with what a hit and a miss gain for each size of change."""

    starts: Ints
    stops: Ints
    firsts: Ints
    lasts: Ints
    fewer: npt.NDArray[np.bool_]
    """True where a row outside of the event is the hit."""
    bounds: Floats
    """The largest share of hits that is as the reference."""
    of_hit: Floats
    """Logarithms, [sizes, tests]."""
    of_miss: Floats
    events: Ints
    """The place of each test's event."""
    threshold: float
    """The logarithm of the wealth that suffices."""

    def start(self) -> Singles:
        """The logarithms of the wealth with no evidence yet, [sizes, tests]."""
        return np.zeros(self.of_hit.shape, np.float32)

    def hits(self, counts: Ints) -> tuple[Ints, Ints]:
        """Of the rows that fell into the groups, each test's hits, and the rows that it is about."""
        sums = np.concatenate(([0], np.cumsum(counts)))
        rows = sums[self.lasts] - sums[self.firsts]
        hits = sums[self.stops] - sums[self.starts]
        return np.where(self.fewer, rows - hits, hits), rows

    def play(self, wealth: Singles, counts: Ints) -> Singles:
        """The wealth after one more step's rows; it stops at the threshold."""
        hits, rows = self.hits(counts)
        gains = hits * self.of_hit + (rows - hits) * self.of_miss
        played = np.maximum(wealth, 0) + gains
        return np.clip(played, 0, self.threshold).astype(np.float32)


def place_bets(events: Sequence[Event], reference: Ints, *, margin: float, alpha: float) -> Bets:
    """The tests of all events against a reference: less than `alpha` false alarms a day by all of them.

    Half of alpha is for the reference's shares being outside of their intervals, half for the rows.
    """
    sided = [(place, side) for place, each in enumerate(events) for side in _sides(each)]
    places = np.array([place for place, _ in sided], np.int64)
    fewer = np.array([side for _, side in sided], np.bool_)
    runs = np.array([[each.start, each.stop, each.first, each.last] for each in events], np.int64)
    starts, stops, firsts, lasts = runs[places].T if sided else np.zeros((4, 0), np.int64)
    tests = max(1, len(sided))
    sums = np.concatenate(([0], np.cumsum(reference)))
    rows = (sums[lasts] - sums[firsts]).astype(np.float64)
    inside = (sums[stops] - sums[starts]).astype(np.float64)
    hits = np.where(fewer, rows - inside, inside)
    bounds = upper_bound(hits, rows, float(np.log(2 * tests / alpha))) + margin
    of_hit, of_miss = _gains(bounds, bounds < 1)
    threshold = float(np.log(2 * STEPS_A_DAY * tests * len(CHANGES) / alpha))
    return Bets(starts, stops, firsts, lasts, fewer, bounds, of_hit, of_miss, places, threshold)


def _sides(event: Event) -> tuple[bool, ...]:
    return (False, True) if event.both_ways else (False,)


def _gains(bounds: Floats, can_pass: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    safe = np.where(can_pass, bounds, 0.5)
    angle = 2 * np.arcsin(np.sqrt(safe))
    changes = np.array(CHANGES)[:, None]
    moved = np.minimum(angle + changes, (angle + np.pi) / 2)
    goal = np.sin(moved / 2) ** 2
    of_hit, of_miss = np.log(goal / safe), np.log((1 - goal) / (1 - safe))
    return np.where(can_pass, of_hit, 0.0), np.where(can_pass, of_miss, 0.0)
