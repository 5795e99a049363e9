"""The best classes of an output, held against a plain sort."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from headrace.errors import HeadraceError
from headrace_inference.domain.extensions import classification
from headrace_inference.domain.extensions.classification import best_classes


def texts(output: Any, classes: int, labels: tuple[bytes, ...] = (), *, batches: bool) -> Any:
    """The classes as nested lists of text."""
    found = best_classes("y", output, classes, labels, batches=batches)
    return [[text.decode() for text in row] for row in found] if batches else found.tolist()


def test_values_have_six_decimals_and_labels_come_last() -> None:
    """An element is value:index:label, and value:index where there is no label."""
    output = np.array([[0.1, 3.3, -1.0]], np.float32)
    expected = [["3.300000:1:dog", "0.100000:0:cat", "-1.000000:2"]]
    assert expected == texts(output, 3, (b"cat", b"dog"), batches=True)


def test_a_model_that_does_not_batch_has_one_list() -> None:
    """All elements of the output are the classes of its one item, and there may be fewer than asked for."""
    output = np.array([[1, 5], [7, 5]], np.int32)
    assert [b"7:2", b"5:1", b"5:3", b"1:0"] == texts(output, 9, batches=False)


def test_a_scalar_has_one_class() -> None:
    """A model that batches may answer a lone request with one: it is its only class."""
    found = best_classes("y", np.array(2.5, np.float32), 3, (), batches=True)
    assert [b"2.500000:0"] == found.tolist()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64", "float32", "float64"])
@pytest.mark.parametrize("elements", [7, 5000])
def test_order_is_that_of_a_plain_sort(dtype: str, elements: int) -> None:
    """By value descending and equal values by index, also for values at a datatype's limits."""
    random.seed(elements)
    kind = np.dtype(dtype)
    limits = np.iinfo(kind) if kind.kind in "iu" else None
    few = [int(limits.min), int(limits.max), 0, 1] if limits else [-2.5, 0.0, 1.5, 3.0]
    rows = [[random.choice(few) for _ in range(elements)] for _ in range(3)]

    found = texts(np.array(rows, kind), 5, batches=True)

    best = [sorted(range(elements), key=lambda index: (-row[index], index))[:5] for row in rows]
    assert best == [[int(text.split(":")[1]) for text in row] for row in found]


@pytest.mark.parametrize("elements", [4, 5000])
def test_not_a_number_comes_last(elements: int) -> None:
    """NaN is never among the best while there are numbers."""
    output = np.zeros((1, elements), np.float32)
    output[0, 0] = np.nan
    output[0, 2] = 1.0
    assert [["1.000000:2", "0.000000:1"]] == texts(output, 2, batches=True)


def test_no_rows_have_no_classes() -> None:
    """A batch of nothing is answered with nothing."""
    found = best_classes("y", np.zeros((0, 4), np.float32), 2, (), batches=True)
    assert (0, 2) == found.shape


def test_too_many_elements_are_refused() -> None:
    """An item has a bound, as Triton's has."""
    output = np.zeros((1, classification.MAX_ELEMENTS + 1), np.float32)
    with pytest.raises(HeadraceError) as caught:
        best_classes("y", output, 2, (), batches=True)
    assert "CLASSIFICATION_TOO_LARGE" == caught.value.reason
