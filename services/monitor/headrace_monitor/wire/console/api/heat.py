"""Histograms over time as rows of a heat map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.telemetry.histogram import BUCKET_COUNT, BUCKETS_PER_OCTAVE, EDGES_NS, Histogram

ROWS_PER_OCTAVE = 4
_BUCKETS = BUCKETS_PER_OCTAVE // ROWS_PER_OCTAVE
_ROW_OF = np.minimum(
    (np.arange(BUCKET_COUNT) + _BUCKETS - 1) // _BUCKETS, (BUCKET_COUNT - 2) // _BUCKETS
)
"""The row of each bucket; the last bucket, which has no upper edge, is in the last row."""
_EDGES_MS = EDGES_NS[::_BUCKETS] / 1e6


def heat_json(histograms: Sequence[Histogram]) -> dict[str, object]:
    """The upper edges of the rows, and for each histogram the counts in them.

    Rows below the least and above the greatest that any of them counted are left out.
    """
    rows = np.zeros((len(histograms), len(_EDGES_MS)), dtype=np.int64)
    for row, histogram in zip(rows, histograms, strict=True):
        places, counts = histogram.used()
        np.add.at(row, _ROW_OF[places], counts)
    used = np.flatnonzero(rows.any(axis=0))
    if not used.size:
        return {"edges_ms": [], "counts": [[] for _ in histograms]}
    first, last = int(used[0]), int(used[-1]) + 1
    edges: list[float] = np.round(_EDGES_MS[first:last], 6).tolist()
    return {"edges_ms": edges, "counts": rows[:, first:last].tolist()}
