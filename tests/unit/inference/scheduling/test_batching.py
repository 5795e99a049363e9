"""How the tensors of requests become the inputs of a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headrace_inference.domain.scheduling.batching import (
    ALIGNMENT,
    assemble,
    rows_of_quick_run,
)
from headrace_inference.domain.scheduling.requests import InferenceRequest, RequestPlan, TensorData
from headrace_inference.domain.versions.statistics import VersionCounters
from tests.unit.inference.doubles import RecordingSink

VALUES = np.arange(8, dtype=np.float32).reshape(1, 8)
PLAN = RequestPlan((0,), ((1, 8),), (VALUES.dtype,), (VALUES.nbytes,), 1, "any", (0,))


def _pending(contents: TensorData) -> InferenceRequest:
    sink, statistics = RecordingSink(), VersionCounters()
    return InferenceRequest(PLAN, [contents], "stable", 0, None, statistics, sink, None)


def _inside(offset: int) -> memoryview:
    """The values inside a message, from this byte on."""
    return memoryview(bytes(offset) + VALUES.tobytes())[offset:]


@pytest.mark.parametrize("offset", [0, 1, 4, 8, 16])
def test_a_tensor_inside_a_message_is_read_where_vectors_begin(offset: int) -> None:
    """Wherever it lies, kernels see the same values at an address like that of a tensor of its own."""
    (array,) = assemble([_pending(_inside(offset))])
    assert 0 == array.ctypes.data % ALIGNMENT
    assert VALUES.tolist() == array.tolist()


def test_an_array_is_copied_only_where_it_must_be() -> None:
    """What begins at the right address is not copied."""
    whole = np.zeros((2, 8), np.float32)
    (same,) = assemble([_pending(whole[1:])])
    (moved,) = assemble([_pending(whole.reshape(-1)[1:9].reshape(1, 8))])
    assert (True, False) == (np.shares_memory(same, whole), np.shares_memory(moved, whole))


def test_rows_of_any_origin_are_joined_in_order() -> None:
    """Bytes, stretches of messages and arrays make one batch."""
    parts: list[TensorData] = [VALUES.tobytes(), _inside(3), VALUES]
    (joined,) = assemble([_pending(part) for part in parts])
    (raw,) = assemble([_pending(part) for part in parts[:2]])
    assert [VALUES[0].tolist()] * 3 == joined.tolist()
    assert [VALUES[0].tolist()] * 2 == raw.tolist()


@pytest.mark.parametrize(
    ("rows", "row_bytes", "expected"),
    [(1, 64, 64), (2, 64, 64), (64, 64, 512), (1024, 64, 4096), (8192, 64, 4096), (2, 2**20, 64)],
)
def test_requests_of_many_rows_share_a_quick_run(rows: int, row_bytes: int, expected: int) -> None:
    """Eight of them, or as many as are copied for less than a run of their own costs."""
    plan = replace(PLAN, rows=rows, sizes=(rows * row_bytes,))
    assert expected == rows_of_quick_run(plan, 64)


def test_the_bytes_of_texts_are_not_known_before() -> None:
    """Requests of texts share runs as ever."""
    assert 64 == rows_of_quick_run(replace(PLAN, rows=64, sizes=(None,)), 64)
