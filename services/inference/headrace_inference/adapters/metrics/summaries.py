"""Triton's latency summaries: quantiles of the last minute or so, from the histograms.

A summary's quantiles are of late, its count and sum of all time. So of every version the histograms of
former scrapes are kept, and quantiles are those of what came since the newest that is a minute old.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from headrace.telemetry.histogram import Histogram
from headrace_inference.adapters.metrics.series_limit import version_labels
from headrace_inference.adapters.metrics.text import Family
from headrace_inference.domain.versions.statistics import Counts

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
WINDOW_SECONDS = 60.0
"""As long as Triton's."""

SPACING_SECONDS = 10.0
"""Former histograms are kept no denser than this, however often somebody scrapes: seven of a version."""

_PARTS = {
    "request": ("total", "from reception to answer"),
    "queue": ("queue", "in the queue"),
    "compute_input": ("input", "while inputs were assembled"),
    "compute_infer": ("infer", "while the model ran"),
    "compute_output": ("output", "while they were answered"),
}
"""The histogram behind each summary, and what it measures."""

Key = tuple[str, int]


@dataclass(slots=True)
class _Window:
    """A version's totals at the times of the last scrapes, oldest first."""

    former: deque[tuple[float, Counts]] = field(default_factory=deque)

    def start(self, counts: Counts, now: float) -> Counts | None:
        """Return what it had done when the window began; None: nothing. Remembers the present."""
        while len(self.former) > 1 and self.former[1][0] <= now - WINDOW_SECONDS:
            self.former.popleft()
        start = self.former[0][1] if self.former else None
        if not self.former or now - self.former[-1][0] >= SPACING_SECONDS:
            self.former.append((now, counts))
        return start


class SummaryWindows:
    """The windows of all versions. One scrape at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[Key, _Window] = {}

    def families(self, counts: Mapping[Key, Counts]) -> Iterator[Family]:
        """The summaries as of now."""
        now = self._clock()
        families = {
            name: Family(f"nv_inference_{name}_summary_us", "summary", f"Time of requests {text}")
            for name, (_, text) in _PARTS.items()
        }
        for key, count in counts.items():
            if key[1]:
                labels = version_labels(key)
                start = self._windows.setdefault(key, _Window()).start(count, now)
                for name, (part, _) in _PARTS.items():
                    total: Histogram = getattr(count, part)
                    before: Histogram | None = getattr(start, part) if start else None
                    families[name].add_summary(quantiles_us(total, before), total, labels)
        yield from families.values()


def quantiles_us(total: Histogram, before: Histogram | None) -> list[tuple[float, float]]:
    """The quantiles in microseconds of what `total` has more than `before`; NaN where that is nothing."""
    fresh = total if before is None else total.since(before)
    if not fresh.count:
        return [(quantile, math.nan) for quantile in QUANTILES]
    return [(quantile, fresh.quantile_ns(quantile) / 1000) for quantile in QUANTILES]
