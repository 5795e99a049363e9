"""Batches that are filled up to an allowed size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace.state.records import Signature, TensorSpec
from headrace_inference.domain.scheduling.padding import Run, allowed_size, run_padded
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.row_guard import RowsDiffer
from headrace_inference.domain.scheduling.watchdog import RunHandle

INPUTS = (TensorSpec("x", Datatype.FP32, (-1, -1)),)
OUTPUTS = (TensorSpec("y", Datatype.FP32, (-1,)), TensorSpec("seen", Datatype.INT64, (-1,)))


def running(inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
    """Answers the inputs, and how many rows it saw in every row."""
    return [*inputs, np.full(len(inputs[0]), len(inputs[0]))]


def padded(run: Run, allowed: Sequence[int], *inputs: Array) -> list[Array]:
    """What a run that is filled up gives."""
    signature = Signature(INPUTS, OUTPUTS if run is running else OUTPUTS[:1])
    return run_padded(run, inputs, None, allowed, signature)


@pytest.mark.parametrize(
    ("rows", "expected"), [(0, 0), (1, 2), (2, 2), (3, 8), (8, 8), (9, 16), (16, 16), (17, 17)]
)
def test_the_smallest_size_that_fits(rows: int, expected: int) -> None:
    """No rows need no filling, and more than any allowed size run as they are."""
    assert expected == allowed_size(rows, (2, 8, 16))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_, np.object_, ml_dtypes.bfloat16])
@pytest.mark.parametrize(("rows", "seen"), [(1, 2), (2, 2), (3, 8), (8, 8)])
def test_results_are_those_of_the_rows_asked_for(rows: int, seen: int, dtype: type) -> None:
    """Whatever was filled in never comes back."""
    sent: Array = np.resize(np.array([0, 1, 2], dtype), (rows, 3))
    answer, sizes = padded(running, (2, 8), sent)
    np.testing.assert_array_equal(sent, answer)
    assert [seen] * rows == sizes.tolist()


def test_what_is_filled_in_is_a_row_that_was_sent() -> None:
    """Zeros may be out of a model's range; a row that was sent is as good as itself."""
    seen: list[Array] = []

    def keeping(inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        seen.extend(inputs)
        return list(inputs)

    padded(keeping, (4,), np.array([[1], [7]]))
    assert [1, 7, 7, 7] == seen[0].ravel().tolist()


def test_outputs_that_do_not_follow_the_rows_are_refused() -> None:
    """Cutting them would give a caller part of something else."""

    def summed(inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        return [inputs[0].sum(axis=0)]

    with pytest.raises(RowsDiffer, match="output 'y' has shape"):
        padded(summed, (4,), np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("hits", "size"), [([2, 2, 0], 4), ([3, 2, 0, 0], 5), ([0, 0, 5, 0], 5), ([0, 0, 2], 4)]
)
def test_a_length_that_fits_by_chance_is_found_out(hits: list[int], size: int) -> None:
    """As many rows as the batch was filled up to say nothing of whose they are."""
    lengths: list[int] = []

    def detecting(inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        found = [100 * row[0] + 10 * hit for row in inputs[0] for hit in range(int(row[1]))]
        lengths.append(len(found))
        return [np.array(found, np.float32)]

    sent: Array = np.array(list(enumerate(hits, start=1)), np.float32)
    with pytest.raises(RowsDiffer, match="filled in"):
        padded(detecting, (size,), sent)
    assert [size] == lengths


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_rounding_by_place_is_no_difference(dtype: type) -> None:
    """A kernel may sum a row in another order by where it stands."""

    def rounding(inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        place = np.arange(len(inputs[0]))[:, np.newaxis]
        wide = inputs[0].astype(np.float64) * (1 + 1e-4 * place)
        return [np.where(inputs[0] == 0, np.nan, wide).astype(dtype)]

    sent: Array = np.array([[0, 7], [0, -9]], dtype)
    (answer,) = padded(rounding, (8,), sent)
    assert (2, 2) == answer.shape


def test_optional_inputs_are_not_filled_up() -> None:
    """They stand behind the required ones, and are no batch: a default that a caller replaced, or None."""
    seen: list[Any] = []

    def keeping(inputs: Sequence[Any], handle: RunHandle | None = None) -> list[Array]:
        seen.extend(inputs)
        return [inputs[0]]

    scale = np.array([5])
    sent: list[Any] = [np.array([[1]]), None, scale]
    padded(keeping, (4,), *sent)
    assert [1, 1, 1, 1] == seen[0].ravel().tolist()
    assert seen[1] is None
    assert seen[2] is scale
