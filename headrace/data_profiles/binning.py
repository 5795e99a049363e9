"""Counts values in bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.float_bits import (
    BIN_COUNT,
    FIRST,
    INFINITE,
    MISSING,
    float_bit_places,
    upper_edges,
)
from headrace.data_profiles.layouts import BinKind, Bins
from headrace.data_profiles.profiles import Counts

Values = npt.NDArray[Any]
"""Of one aspect, one a row: numbers, or texts as objects, '' where missing."""

Places = npt.NDArray[np.int64]


def bin_count(bins: Bins) -> int:
    """How many bins there are."""
    if bins.kind is BinKind.FLOAT_BITS:
        return BIN_COUNT
    own = len(bins.edges) if bins.kind is BinKind.EDGES else len(bins.labels)
    return own + 3


def places_of(bins: Bins, values: Values) -> Places:
    """The bin of each value. Raises ValueError for texts where bins are of numbers."""
    if values.dtype == object:
        if bins.kind is not BinKind.LABELS:
            raise ValueError("texts are in no bins of numbers")
        return _text_places(bins.labels, values)
    if bins.kind is BinKind.FLOAT_BITS:
        return float_bit_places(values)
    numbers = values.astype(np.float64)
    if bins.kind is BinKind.EDGES:
        places = FIRST + between(bins.edges, numbers)
    else:
        places = FIRST + _labelled(bins.labels, numbers)
    places[np.isinf(numbers)] = INFINITE
    places[np.isnan(numbers)] = MISSING
    return places


def count(bins: Bins, values: Values) -> Counts:
    """Counts of values by bin."""
    return counted(places_of(bins, values), bin_count(bins))


def counted(places: Places, bins: int) -> Counts:
    """Counts of places by bin."""
    return np.bincount(places, minlength=bins).astype(np.int64)


def between(edges: Sequence[float], numbers: npt.NDArray[np.float64]) -> Places:
    """The pair of edges that holds each number; 0: below the first, as many as edges: above the last."""
    places = np.searchsorted(np.asarray(edges), numbers, side="left")
    if len(edges) > 1:
        places[numbers == edges[0]] = 1
    return places


def _labelled(labels: Sequence[str], numbers: npt.NDArray[np.float64]) -> Places:
    """The place of the label that is each number's; the number of labels for others."""
    if not labels:
        return np.zeros(len(numbers), np.int64)
    known = np.array([_number(label) for label in labels])
    order = np.argsort(known)
    nearest = np.searchsorted(known, numbers, sorter=order).clip(max=len(known) - 1)
    found = order[nearest]
    return np.where(known[found] == numbers, found, len(known))


def _number(label: str) -> float:
    try:
        return float(label)
    except ValueError:
        return float("nan")


def _text_places(labels: Sequence[str], texts: Values) -> Places:
    place = {label: FIRST + at for at, label in enumerate(labels)} | {"": MISSING}
    others = FIRST + len(labels)
    return np.array([place.get(text, others) for text in texts.tolist()], np.int64)


def limits_of(bins: Bins) -> npt.NDArray[np.float64]:
    """The limits between the bins from FIRST on, infinite at both ends; none for labels."""
    if bins.kind is BinKind.LABELS:
        return np.zeros(0)
    inner = upper_edges()[:-1] if bins.kind is BinKind.FLOAT_BITS else np.array(bins.edges)
    return np.concatenate([[-np.inf], inner, [np.inf]])
