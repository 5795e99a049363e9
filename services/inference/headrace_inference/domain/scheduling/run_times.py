"""Learns how long runs take by their rows."""

from __future__ import annotations

from dataclasses import dataclass

from headrace_inference.domain.scheduling.drain_rate import OUTLIER, weight_kept

LEAST_SPREAD = 0.1
"""Of the rows of runs, as their variance by the square of their mean: below it no line is fitted."""


LEAST_WEIGHT = 1 / 64
"""Of one run in the mean deviation."""


@dataclass(slots=True)
class RunTimes:
    """A line through the latest runs: what each costs, and what each row costs.

    While all have the same rows, each row is said to cost its part of a run: of smaller runs that is the
    least, of larger ones the most that they take.
    """

    _runs: float = 0.0
    _rows: float = 0.0
    _busy_ns: float = 0.0
    _rows_squared: float = 0.0
    _rows_times_ns: float = 0.0
    run_ns: float = 0.0
    row_ns: float = 0.0
    deviation_ns: float = 0.0
    """The mean by which runs miss the line; the first one of another size shows the line, and no miss."""
    is_line: bool = False
    """Whether runs had different rows."""

    _doubted: bool = False

    @property
    def is_known(self) -> bool:
        """Tell whether any run was added."""
        return self._runs > 0

    def add(self, rows: int, took_ns: float) -> None:
        """Learn from a run of so many rows; one that took far too long counts as long."""
        if self.is_line or abs(rows * self._runs - self._rows) < 1e-6 * self._rows:
            took_ns = self._compare(took_ns, self.of(rows))
        kept = weight_kept(took_ns)
        self._runs = self._runs * kept + 1
        self._rows = self._rows * kept + rows
        self._busy_ns = self._busy_ns * kept + took_ns
        self._rows_squared = self._rows_squared * kept + rows * rows
        self._rows_times_ns = self._rows_times_ns * kept + rows * took_ns
        self._fit()

    def of(self, rows: float) -> float:
        """Return how long a run of so many rows takes, in nanoseconds; 0 before any was added."""
        return self.run_ns + rows * self.row_ns

    def rows_within(self, ns: float) -> float:
        """Return how many rows a run of this time has; no limit before any run was added."""
        if ns <= self.run_ns:
            return 0.0
        return (ns - self.run_ns) / self.row_ns if self.row_ns else float("inf")

    def _compare(self, took_ns: float, expected_ns: float) -> float:
        """Return how long a run counts as; the second in a row that is far from the line begins another."""
        if expected_ns / OUTLIER <= took_ns <= expected_ns * OUTLIER:
            self._doubted = False
        elif self._doubted:
            self._forget()
            return took_ns
        else:
            self._doubted = True
            took_ns = min(took_ns, expected_ns * OUTLIER)
        weight = max(1 - weight_kept(took_ns), LEAST_WEIGHT)
        self.deviation_ns += (abs(took_ns - expected_ns) - self.deviation_ns) * weight
        return took_ns

    def _forget(self) -> None:
        self._runs = self._rows = self._busy_ns = self._rows_squared = self._rows_times_ns = 0.0
        self.deviation_ns, self.is_line, self._doubted = 0.0, False, False

    def _fit(self) -> None:
        mean_ns = self._busy_ns / self._rows
        spread = self._runs * self._rows_squared - self._rows * self._rows
        self.row_ns = mean_ns
        self.is_line = spread > LEAST_SPREAD * self._rows * self._rows
        if self.is_line:
            slope = (self._runs * self._rows_times_ns - self._rows * self._busy_ns) / spread
            self.row_ns = min(max(slope, 0.0), mean_ns)
        self.run_ns = (self._busy_ns - self.row_ns * self._rows) / self._runs
