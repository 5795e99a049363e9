"""Batches that are filled up to an allowed size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from headrace_inference.domain.padding import allowed_size, padded_run
from headrace_inference.domain.requests import Array
from headrace_inference.domain.run_watch import RunHandle
from headrace_inference.domain.runner import RunFailed


def running(inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
    """Answers the inputs, and how many rows it saw in every row."""
    return [*inputs, np.full(len(inputs[0]), len(inputs[0]))]


@pytest.mark.parametrize(
    ("rows", "expected"), [(0, 0), (1, 2), (2, 2), (3, 8), (8, 8), (9, 16), (16, 16)]
)
def test_the_smallest_size_that_fits(rows: int, expected: int) -> None:
    """No rows need no filling."""
    assert expected == allowed_size(rows, (2, 8, 16))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_, np.object_])
@pytest.mark.parametrize(("rows", "seen"), [(1, 2), (2, 2), (3, 8), (8, 8)])
def test_results_are_those_of_the_rows_asked_for(rows: int, seen: int, dtype: type) -> None:
    """Whatever was filled in never comes back."""
    sent: Array = np.resize(np.array([0, 1, 2], dtype), (rows, 3))
    answer, sizes = padded_run(running, (2, 8), 1)([sent], None)
    np.testing.assert_array_equal(sent, answer)
    assert [seen] * rows == sizes.tolist()


def test_what_is_filled_in_is_a_row_that_was_sent() -> None:
    """Zeros may be out of a model's range; a row that was sent is as good as itself."""
    seen: list[Array] = []

    def keeping(inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        seen.extend(inputs)
        return list(inputs)

    padded_run(keeping, (4,), 1)([np.array([[1], [7]])], None)
    assert [1, 7, 7, 7] == seen[0].ravel().tolist()


def test_outputs_that_do_not_follow_the_rows_are_refused() -> None:
    """Cutting them would give a caller part of something else."""

    def summed(inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        return [inputs[0].sum(axis=0)]

    with pytest.raises(RunFailed, match="allowed_batch_sizes"):
        padded_run(summed, (4,), 1)([np.zeros((3, 2))], None)


def test_optional_inputs_are_not_filled_up() -> None:
    """They stand behind the required ones, and are no batch: a default that a caller replaced, or None."""
    seen: list[Any] = []

    def keeping(inputs: Sequence[Any], handle: RunHandle | None = None) -> list[Array]:
        seen.extend(inputs)
        return [inputs[0]]

    scale = np.array([5])
    sent: list[Any] = [np.array([[1]]), None, scale]
    padded_run(keeping, (4,), 1)(sent, None)
    assert [1, 1, 1, 1] == seen[0].ravel().tolist()
    assert seen[1] is None
    assert seen[2] is scale
