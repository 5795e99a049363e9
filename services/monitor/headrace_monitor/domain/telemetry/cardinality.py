"""Tallies with few keys: what is over a limit is counted together, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from headrace_monitor.domain.telemetry.report import Key, Tally, add_counts

OTHER_KEY = "_other"
"""Where reasons and routes over the limit are counted."""

MAX_BATCH_SIZES = 1024
"""Of one version. Beyond them, batches count at the next power of two: there the metric's buckets end, so
that they stay exact."""

MAX_ROWS = 2**31 - 1
"""The most rows of a batch that a message can tell of."""


def folded(tally: Tally, known: Tally, limit: int) -> Tally:
    """`tally`, such that adding it to `known` leaves at most `limit` reasons and routes, and a few more."""
    return replace(
        tally,
        error_counts=_folded_names(tally.error_counts, known.error_counts, limit),
        route_counts=_folded_names(tally.route_counts, known.route_counts, limit),
        batch_counts=_folded_sizes(tally.batch_counts, known.batch_counts),
    )


def _folded_names(counts: dict[str, int], known: Mapping[str, int], limit: int) -> dict[str, int]:
    return _folded(counts, known, limit, lambda _: OTHER_KEY)


def _folded_sizes(counts: dict[int, int], known: Mapping[int, int]) -> dict[int, int]:
    return _folded(counts, known, MAX_BATCH_SIZES, _next_power_of_two)


def _next_power_of_two(rows: int) -> int:
    return min(1 << max(rows - 1, 0).bit_length(), MAX_ROWS)


def _folded(
    counts: dict[Key, int], known: Mapping[Key, int], limit: int, fold: Callable[[Key], Key]
) -> dict[Key, int]:
    new = [key for key in counts if key not in known]
    over = set(new[max(0, limit - len(known)) :])
    if not over:
        return counts
    kept: dict[Key, int] = {}
    for key, count in counts.items():
        place = fold(key) if key in over else key
        add_counts(kept, {place: count})
    return kept
