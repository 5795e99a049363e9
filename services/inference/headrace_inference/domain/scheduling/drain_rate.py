"""Measures how fast a version's instances empty its queue."""

from __future__ import annotations

NEW_WEIGHT = 1 / 8
"""The most that one run weighs beside those before it: eight runs after a change the rate has followed."""

HORIZON_NS = 500_000_000
"""Runs are averaged over so much of their own time where eight take less: quick runs vary more."""

OUTLIER = 16
"""A run that takes so many times what was expected, or so little, is doubted; a second one is believed."""

STALE_NS = 10_000_000_000
"""A rate that was measured longer ago counts as twice as fast: other work may have gone since."""

STALE_RUNS = 4
"""So does one that is older than so many runs, where these take longer."""


class DrainRate:
    """The time that a row of the queue takes, all instances together; 0 until a run left others waiting.

    Only runs that left others waiting tell it: all instances were busy then, and batches as large as they
    get. So pauses do not count, and neither do lone requests, unless they show that rows take less.
    Whoever measures keeps the time between taking a batch and asking for the next one.
    """

    __slots__ = ("_busy_ns", "_doubted", "_instances", "_rows", "_runs", "_seen_ns", "ns_per_row")

    def __init__(self, instances: int) -> None:
        self._instances = max(1, instances)
        self._seen_ns = 0
        self._doubted = False
        self._rows = self._runs = self._busy_ns = 0.0
        self.ns_per_row = 0.0

    def record(self, rows: int, took_ns: int, now_ns: int, *, left_waiting: bool) -> None:
        """Note a run of so many rows that is over now."""
        expected_ns = rows * self.ns_per_row * self._instances
        if not left_waiting and took_ns >= expected_ns:
            return
        if self._is_stale(now_ns - took_ns):
            self._forget()
        counted_ns = float(took_ns)
        if self._rows and not expected_ns / OUTLIER <= took_ns <= expected_ns * OUTLIER:
            if self._doubted:
                self._forget()
            else:
                counted_ns = min(took_ns, expected_ns * OUTLIER)
            self._doubted = not self._doubted
        else:
            self._doubted = False
        self._add(rows, counted_ns)
        self._seen_ns = now_ns

    def wait_ns(self, rows: int, now_ns: int) -> float:
        """Return how long so many rows are expected to wait for; 0 where that is not known."""
        wait_ns = rows * self.ns_per_row
        return wait_ns / 2 if self._is_stale(now_ns) else wait_ns

    @property
    def rows_of_runs(self) -> float:
        """Return how many rows a run had; 0 before the first."""
        return self._rows / self._runs if self._runs else 0.0

    @property
    def run_ns(self) -> float:
        """Return how long a run takes; 0 before the first."""
        return self._busy_ns / self._runs if self._runs else 0.0

    def _add(self, rows: int, took_ns: float) -> None:
        kept = weight_kept(took_ns)
        self._rows = self._rows * kept + rows
        self._runs = self._runs * kept + 1
        self._busy_ns = self._busy_ns * kept + took_ns
        self.ns_per_row = self._busy_ns / self._rows / self._instances

    def _forget(self) -> None:
        self._rows = self._runs = self._busy_ns = 0.0
        self._doubted = False

    def _is_stale(self, now_ns: int) -> bool:
        limit_ns = max(STALE_NS, min(STALE_RUNS * self.run_ns, 6 * STALE_NS))
        return now_ns - self._seen_ns > limit_ns


def weight_kept(took_ns: float) -> float:
    """Return the weight that is left to former runs beside one that took so long."""
    return 1.0 - min(NEW_WEIGHT, took_ns / HORIZON_NS)
