"""The best classes of an output, as Triton writes them: `value:index` or `value:index:label`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from headrace.errors import InvalidArgument
from headrace_inference.domain.scheduling.requests import Array

MAX_ELEMENTS = 1_000_000
"""Of one item; Triton's bound."""

_PARTITION_FROM = 1024
"""Below this many elements a whole sort is as fast as finding the best ones first."""


def best_classes(
    name: str, output: Array, classes: int, labels: Sequence[bytes], *, batches: bool
) -> Array:
    """The best classes of each item of an output, by value descending and equal values by index.

    The result is BYTES [rows, k] where the output's first dimension is the batch, else [k]; k is `classes`,
    or an item's elements where those are fewer. Raises InvalidArgument (CLASSIFICATION_TOO_LARGE).
    """
    batches = batches and output.ndim > 0  # a request that ran alone may have got a scalar
    rows = output.shape[0] if batches else 1
    elements = math.prod(output.shape[1:]) if batches else output.size
    if elements > MAX_ELEMENTS:
        raise InvalidArgument(
            "CLASSIFICATION_TOO_LARGE",
            f"output '{name}' has {elements} elements an item; classification takes at most {MAX_ELEMENTS}",
        )
    items = output.reshape(rows, elements)
    indexes = _best_indexes(items, min(classes, elements))
    texts = np.empty(indexes.shape, np.object_)
    values = np.take_along_axis(items, indexes, axis=1)
    texts.ravel()[:] = _texts(values, indexes, labels)
    return texts if batches else texts.reshape(-1)


def _best_indexes(items: Array, count: int) -> Array:
    if items.shape[1] < _PARTITION_FROM or count * 4 > items.shape[1]:
        return _order(items)[:, :count]
    rows = [_best_of_many(item, count) for item in items]
    return np.array(rows, np.intp).reshape(len(items), count)


def _order(items: Array) -> Array:
    """Each row's indexes by value descending; NaN is last, and of equal values the first is first."""
    if items.dtype.kind == "f":
        order: Array = np.argsort(-items, axis=1, kind="stable")
        return order
    # Integers have no negative of their lowest value: sort them backwards instead.
    ascending = np.argsort(items[:, ::-1], axis=1, kind="stable")
    backwards: Array = items.shape[1] - 1 - ascending[:, ::-1]
    return backwards


def _best_of_many(item: Array, count: int) -> Array:
    """The same order for a long row, of which only the candidates are sorted."""
    if item.dtype.kind == "f" and np.isnan(item).any():
        return _order(item[np.newaxis])[0, :count]
    least = np.partition(item, item.size - count)[item.size - count]
    above = np.flatnonzero(item > least)
    equal = np.flatnonzero(item == least)[: count - above.size]
    candidates = np.sort(np.concatenate((above, equal)))
    best: Array = candidates[_order(item[candidates][np.newaxis])[0]]
    return best


def _texts(values: Array, indexes: Array, labels: Sequence[bytes]) -> list[bytes]:
    form = "%f:%d" if values.dtype.kind == "f" else "%d:%d"
    texts = []
    for value, index in zip(values.ravel().tolist(), indexes.ravel().tolist(), strict=True):
        text = (form % (value, index)).encode()
        texts.append(text + b":" + labels[index] if index < len(labels) else text)
    return texts
