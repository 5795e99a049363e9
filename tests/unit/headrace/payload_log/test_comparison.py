"""Tests of comparing answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from headrace.payload_log.comparison import (
    MISSING,
    SHAPES,
    Difference,
    Flip,
    Tolerance,
    differences,
    flips,
)

TEXTS = np.array([["a"], ["b"]], np.object_)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([[1.0], [2.0]], [[1.0], [2.0001]], []),
        ([[1.0], [2.0]], [[1.0], [2.5]], [Difference("y", 1, 0.5)]),
        ([math.nan, math.inf], [math.nan, math.inf], []),
        ([math.nan, 1.0], [1.0, 1.0], [Difference("y", 1, math.inf)]),
        ([1, 2], [1, 2, 3], [Difference("y", 2, why=SHAPES)]),
        ([[1, 2], [3, 4]], [[9, 9], [3, 4]], [Difference("y", 1, 8.0)]),
        (TEXTS, [[b"a"], [b"c"]], [Difference("y", 1)]),
        (3.0, 3.0, []),
    ],
)
def test_differences(before: Any, after: Any, expected: list[Difference]) -> None:
    """Numbers within the tolerance are the same, nan is nan, and rows are counted once."""
    kind = np.object_ if before is TEXTS else None
    both = {"y": np.array(before, kind)}, {"y": np.array(after, kind)}
    assert expected == list(differences(*both, Tolerance()))


def test_an_output_that_is_gone() -> None:
    """It differs in all rows; one that is new does not matter."""
    before, after = {"y": np.ones((2, 1))}, {"z": np.ones((2, 1))}
    assert [Difference("y", 2, why=MISSING)] == list(differences(before, after, Tolerance()))
    assert [] == list(flips(before, after))


def test_classes_that_flip() -> None:
    """An integer or a text is a class, and so is the largest of weights; one number a row is none."""
    before = {
        "label": np.array([0, 1]),
        "weights": np.array([[0.9, 0.1], [0.2, 0.8]]),
        "value": np.array([1.0, 2.0]),
    }
    after = {
        "label": np.array([0, 0]),
        "weights": np.array([[0.8, 0.2], [0.6, 0.4]]),
        "value": np.array([5.0, 2.0]),
    }
    expected = [Flip("label", "1", "0"), Flip("weights", "1", "0")]
    assert expected == list(flips(before, after))
