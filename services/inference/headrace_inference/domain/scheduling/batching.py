"""Chooses the requests of the next batch, and joins them to the inputs of one run."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from headrace.state.records import Batching
from headrace_inference.domain.scheduling.execution_plan import MOST_JOINED_BYTES
from headrace_inference.domain.scheduling.queues import RequestQueue
from headrace_inference.domain.scheduling.requests import (
    Array,
    InferenceRequest,
    RequestPlan,
    TensorData,
)

MOST_JOINED_REQUESTS = 8
"""Of several rows, beyond the rows of a batch."""

ALIGNMENT = 16
"""Bytes: where the C library begins a block, and so what tensors of their own have."""

_WIDEST = np.dtype(np.longdouble)
"""The datatype whose alignment is that, on most platforms."""


def share(waiting_rows: int, idle_instances: int, max_rows: int) -> int:
    """Return how many rows a free instance takes: its part of what waits, so that none stays idle."""
    return min(max_rows, -(-waiting_rows // max(1, idle_instances)))


def rows_of_quick_run(first: RequestPlan, max_rows: int) -> int:
    """Return how many rows of requests like the first share a run that is over soon.

    A run of its own costs a request of 64 or 1,024 rows of a small model more than its rows do. Each asked
    for its rows itself, so that a few together are no surprise; larger ones cost less run than joined.
    """
    size = sum([size or 0 for size in first.sizes])
    if first.rows <= 1 or not size:
        return max_rows
    by_bytes = first.rows * MOST_JOINED_BYTES // size
    return max(max_rows, min(MOST_JOINED_REQUESTS * first.rows, by_bytes))


def take(waiting: RequestQueue | deque[InferenceRequest], max_rows: int) -> list[InferenceRequest]:
    """Remove the next batch from the front of the queue, in order: one request at least.

    It ends before the first request that does not fit: of another shape, or over `max_rows`.
    """
    first = waiting.popleft()
    batch = [first]
    key = first.plan.batch_key
    if key is None:
        return batch
    rows = first.plan.rows
    while waiting:
        plan = waiting[0].plan
        rows += plan.rows
        if rows > max_rows or plan.batch_key != key:
            break
        batch.append(waiting.popleft())
    return batch


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for more requests until this point in time."""

    until_ns: int


def wait_before_batch(
    batching: Batching, waiting_rows: int, oldest_received_ns: int, now_ns: int
) -> Wait | None:
    """Return whether a free instance should wait for more rows; None: take now.

    Without a queue delay it never waits. With one it waits until the rows reach a preferred size (or the
    largest), or the oldest request has waited for the delay.
    """
    if not batching.max_queue_delay_microseconds:
        return None
    wanted = batching.preferred_batch_sizes or (batching.max_batch_size,)
    until_ns = oldest_received_ns + batching.max_queue_delay_microseconds * 1000
    if waiting_rows in wanted or waiting_rows >= max(wanted) or now_ns >= until_ns:
        return None
    return Wait(until_ns)


def assemble(batch: Sequence[InferenceRequest]) -> list[Array]:
    """The inputs of one run: row-wise one after the other, one array for each of the version's inputs.

    Behind them, of a request that brings any, its optional inputs, with None for those that it leaves out.
    """
    count = len(batch[0].contents)
    if len(batch) > 1:
        rows = sum([request.plan.rows for request in batch])
        return [_joined(batch, place, rows) for place in range(count)]
    arrays = [_array(batch[0], place) for place in range(count)]
    optional = batch[0].plan.optional
    return _spread(arrays, optional) if optional else arrays


def _spread(arrays: Sequence[Array], optional: Sequence[int]) -> list[Array]:
    """The arrays, of which the last are optional inputs, with these in their places."""
    required = len(arrays) - len(optional)
    places: list[Array | None] = [None] * (optional[-1] + 1)
    for place, array in zip(optional, arrays[required:], strict=True):
        places[place] = array
    return [*arrays[:required], *cast("list[Array]", places)]  # runners know that None is left out


def _joined(batch: Sequence[InferenceRequest], place: int, rows: int) -> Array:
    parts: list[TensorData] = [request.contents[place] for request in batch]
    plan = batch[0].plan
    if any(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate([_array(request, place) for request in batch])
    flat = np.frombuffer(b"".join(parts), plan.dtypes[place])  # type: ignore[arg-type]  # no array, said above
    return flat.reshape(rows, *plan.shapes[place][1:])


def _array(request: InferenceRequest, place: int) -> Array:
    contents = request.contents[place]
    if isinstance(contents, np.ndarray):
        return _aligned(contents)
    if isinstance(contents, memoryview) and not _is_aligned(contents):
        contents = bytes(contents)  # which begin where the C library begins a block
    return np.frombuffer(contents, request.plan.dtypes[place]).reshape(request.plan.shapes[place])


def _is_aligned(contents: memoryview) -> bool:
    """Tell whether bytes of a message lie as `_aligned` says, by a flag: an address takes numpy 1.4 µs."""
    if _WIDEST.alignment != ALIGNMENT or len(contents) < _WIDEST.itemsize:
        return False
    return np.ndarray((1,), _WIDEST, contents).flags.aligned


def _aligned(array: Array) -> Array:
    """The array where vector instructions want it: a tensor inside a message may begin at any byte.

    Kernels that take the first elements one by one, up to where vectors begin, sum in another order, and
    so answer with other last bits.
    """
    if array.dtype.hasobject or array.ctypes.data % ALIGNMENT == 0:
        return array
    return array.copy()
