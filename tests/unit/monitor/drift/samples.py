"""Rows of normally distributed fields, counted in the bins of references, with fixed seeds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from headrace.data_profiles.layouts import BinKind, Bins
from headrace.data_profiles.profiles import AspectKey, ProfileKey
from headrace.data_profiles.quantile_edges import counts_between, edges_at_quantiles
from headrace_monitor.domain.drift.baselines import Baseline, baseline_of
from headrace_monitor.domain.drift.panel import MINUTE_NS, Panel

ROWS_A_MINUTE = 600
KEY = ProfileKey("census", 3)


class Rows:
    """Draws rows of fields `x0`, `x1`, ..., all normal with a mean of 0 and a deviation of 1."""

    def __init__(self, seed: int, fields: int = 5, reference_rows: int = 10_000) -> None:
        self.random = np.random.default_rng(seed)
        self.bins: list[Bins] = []
        self.baselines: list[Baseline] = []
        for field in range(fields):
            values = self.random.normal(size=reference_rows)
            bins = Bins(BinKind.EDGES, edges_at_quantiles(values))
            counts = np.concatenate(([0, 0], counts_between(bins.edges, values)))
            self.bins.append(bins)
            self.baselines.append(baseline_of(AspectKey(f"x{field}", "value"), bins, counts))

    def panel(self) -> Panel:
        """All fields, with no evidence yet."""
        return Panel(KEY, self.baselines, margin=0.01, alpha=0.01)

    def minute(
        self, shifts: Mapping[int, float] | None = None, missing: Mapping[int, int] | None = None
    ) -> np.ndarray:
        """Counts by group of one minute; means are moved by `shifts`, rows lost by `missing`, by field."""
        parts = []
        for field, bins in enumerate(self.bins):
            lost = (missing or {}).get(field, 0)
            values = self.random.normal((shifts or {}).get(field, 0.0), 1, ROWS_A_MINUTE - lost)
            counts = np.concatenate(([lost, 0], counts_between(bins.edges, values)))
            parts.append(self.baselines[field].grouped(counts))
        return np.concatenate(parts)


def minutes_to_find(panel: Panel, rows: Rows, shifts: Mapping[int, float], begin: int) -> int:
    """Minutes until the panel has found something; at most 300."""
    for minute in range(1, 301):
        panel.step(rows.minute(shifts), (begin + minute) * MINUTE_NS)
        if panel.open:
            return minute
    return 301
