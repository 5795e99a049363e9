"""Chooses how long a batch waits for more rows, by an objective for the p99.

What waits already is never held back: a smaller batch now is another one later. Everything is learnt: how
long runs take by their rows, whether waiting brings any rows, and how long after one another they come. So
a lone caller waits for nobody, and callers who wait for their answers before they ask again are not waited
for either.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace_inference.domain.scheduling.run_times import RunTimes

DEVIATIONS = 3
"""A run is expected to end within so many mean deviations of its time: 99 of 100 do."""

RUNS_IN_OBJECTIVE = 2
"""Who comes when a run has just begun waits for it, and for its own."""

LEAST_SAVED = 0.05
"""Where a run costs less than this part of its time whatever its rows, larger batches bring nothing."""

QUIET_GAPS = 4
"""Rows that come one after another have stopped coming when so many of their gaps bring none."""

LEAST_QUIET_NS = 1_000_000

LEAST_GAIN = 0.5
"""While waiting brings fewer rows than this, batches do not wait."""

FIRST_GAIN = 0.6
"""A version that was just loaded waits once, to learn whether any come."""

TRY_EVERY = 128
"""But one of so many waits for the time of a run: more may come by now."""

FIRST_TRUST, SHRINK, GROW, LEAST_TRUST = 0.8, 0.9, 1.001, 0.25
"""The part of the objective that is used: it falls with every batch that was late, and grows with every
other. One in a hundred is late where they meet."""


@dataclass(frozen=True, slots=True)
class _Forming:
    """A batch that waits: its rows when it began to, when that was, and when it ends at the latest."""

    rows: int
    began_ns: int
    end_ns: int
    until_ns: float


class BatchWindow:
    """The decision for one version's batches. Its pool's mutex guards it."""

    def __init__(self, objective_ns: int, max_rows: int, runs: RunTimes) -> None:
        self._objective_ns = objective_ns
        self._max_rows = max_rows
        self._runs = runs
        self._trust = FIRST_TRUST
        self._gain = FIRST_GAIN
        self._gap_ns = 0.0
        self._forming: _Forming | None = None
        self._formed = 0

    def wait_until_ns(
        self, rows: int, oldest_ns: int, newest_ns: int, deadline_ns: int | None, now_ns: int
    ) -> int | None:
        """Return until when a free instance waits for more than these rows; None: it takes them now.

        The requests with these rows were received from the oldest to the newest; the first deadline of
        theirs is given.
        """
        end_ns = self._end_ns(oldest_ns, deadline_ns)
        until_ns = min(end_ns, self._quiet_ns(newest_ns))
        is_full = rows >= self._enough_rows
        if self._forming is None:
            self._formed += 1
            until_ns = min(until_ns, now_ns + self._patience_ns(rows))
            if is_full or now_ns >= until_ns:
                return None
            self._forming = _Forming(rows, now_ns, end_ns, until_ns)
            return int(until_ns)
        if self._gain < LEAST_GAIN:  # a try, which no row that comes makes longer
            until_ns = min(until_ns, self._forming.until_ns)
        if not is_full and now_ns < until_ns:
            return int(until_ns)
        self._learn(self._forming, rows, newest_ns, now_ns)
        self._forming = None
        return None

    def give_up(self) -> None:
        """Forget the batch that waits: its requests are gone."""
        self._forming = None

    def record_batch(self, oldest_ns: int, now_ns: int) -> None:
        """Learn from a batch that was answered now, and whose first request came then."""
        if now_ns - oldest_ns <= self._objective_ns:
            self._trust = min(1.0, self._trust * GROW)
        else:
            self._trust = max(LEAST_TRUST, self._trust * SHRINK)

    @property
    def _longest_run_ns(self) -> float:
        return self._trust * self._objective_ns / RUNS_IN_OBJECTIVE

    @property
    def _enough_rows(self) -> float:
        """Return for how many rows a batch waits: for all, while runs of several sizes were not seen."""
        runs = self._runs
        rows = runs.rows_within(self._longest_run_ns) if runs.is_line else self._max_rows
        return min(rows, self._max_rows)

    def _end_ns(self, oldest_ns: int, deadline_ns: int | None) -> int:
        run_ns = min(self._runs.of(self._max_rows), self._longest_run_ns)
        run_ns += DEVIATIONS * self._runs.deviation_ns
        end_ns = oldest_ns + self._trust * self._objective_ns - run_ns
        return int(end_ns if deadline_ns is None else min(end_ns, deadline_ns - run_ns))

    def _quiet_ns(self, newest_ns: int) -> float:
        if not self._gap_ns:
            return float("inf")
        return newest_ns + max(QUIET_GAPS * self._gap_ns, LEAST_QUIET_NS)

    def _patience_ns(self, rows: int) -> float:
        """Return how long waiting is worth while at all."""
        runs = self._runs
        if not runs.is_known or (runs.is_line and runs.run_ns < LEAST_SAVED * runs.of(rows)):
            return 0.0
        if self._gain >= LEAST_GAIN:
            return float("inf")
        return 0.0 if self._formed % TRY_EVERY else runs.of(rows)

    def _learn(self, forming: _Forming, rows: int, newest_ns: int, now_ns: int) -> None:
        joined = rows - forming.rows
        waited_ns, whole_ns = now_ns - forming.began_ns, forming.end_ns - forming.began_ns
        is_try = self._gain < LEAST_GAIN
        gain = joined * max(1.0, whole_ns / max(1, waited_ns)) if is_try else joined
        self._gain += (gain - self._gain) / 4
        if joined > 0 and newest_ns > forming.began_ns:
            gap_ns = (newest_ns - forming.began_ns) / joined
            self._gap_ns += (gap_ns - self._gap_ns) / 4 if self._gap_ns else gap_ns
