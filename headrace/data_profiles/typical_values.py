"""What is typical of a field that was learnt: the middle of its numbers, the most frequent category."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.data_profiles.layouts import BinKind, Bins, FieldKind

_FIRST = 2
"""The bin behind those of what is missing and what is infinite."""


def typical_value(kind: FieldKind, bins: Bins, counts: Mapping[int, int]) -> float | str | None:
    """The median of numbers, as closely as bins tell it, or the category of most rows; None: not known.

    `counts` are those of the bins that are not empty. A median lies within what was learnt, and is one of
    the numbers themselves where the bins are of few.
    """
    seen = {place - _FIRST: count for place, count in counts.items() if place >= _FIRST and count}
    if kind is FieldKind.TEXT:
        return ""
    if bins.kind is BinKind.LABELS:
        label = _most_frequent(bins.labels, seen)
        return float(label) if kind is FieldKind.NUMBER and label is not None else label
    if bins.kind is BinKind.EDGES and bins.edges and seen:
        return _median(bins.edges, seen)
    return None


def _most_frequent(labels: tuple[str, ...], seen: Mapping[int, int]) -> str | None:
    named = {place: count for place, count in seen.items() if place < len(labels)}
    return labels[max(named, key=lambda place: (named[place], -place))] if named else None


def _median(edges: tuple[float, ...], seen: Mapping[int, int]) -> float:
    half, below = sum(seen.values()) / 2, 0
    for place, count in sorted(seen.items()):
        if below + count >= half:
            lower, upper = edges[max(0, place - 1)], edges[min(place, len(edges) - 1)]
            return lower + (upper - lower) * (half - below) / count
        below += count
    return edges[-1]
