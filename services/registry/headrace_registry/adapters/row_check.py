"""Whether a graph mixes the rows of a batch, which no signature says: tried on made-up rows.

Runs in the checker's child process, after the graph's own check.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.state.records import Signature, TensorSpec
from headrace_registry.domain.proposal import obstacle_to_batching

Array = npt.NDArray[Any]

FEW, MORE = 1, 4
"""The rows of two requests: different numbers, for a graph may count them, and enough of them that mixed
zeros and ones hardly look right by chance."""

FREE_SIZE = 4
"""Of other free dimensions: with 1 a softmax says nothing."""

MAX_SECONDS = 5.0
"""A graph that is slower on a few rows is not worth a longer push; it is proposed as its signature says."""

MAX_INPUT_BYTES = 64 << 20

TOLERANCES = {"f2": 2e-2, "f4": 1e-3, "f8": 1e-3}
"""Of the largest value: kernels add in another order for another number of rows."""

_SILENT = 4
_RUN_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *{
        kind
        for kind in vars(state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    },
)
"""All that a session raises: a class for each of its status codes, and built-in ones from its binding."""


def mixes_rows(session: Any, signature: Signature) -> bool:
    """Whether rows gave something else together than alone, or did not run together.

    False, too, where that could not be tried: the first dimension is not free everywhere, or the made-up
    inputs are too large, too slow, or wrong for the graph.
    """
    if not _can_be_tried(signature):
        return False
    try:
        return _mixes(session, signature)
    except MemoryError:
        return False  # too large for the check's limit is not too large for a replica


def _mixes(session: Any, signature: Signature) -> bool:
    few, more = (_made_up(signature, rows) for rows in (FEW, MORE))
    joined = [np.concatenate(pair) for pair in zip(few, more, strict=True)]
    with _running(session, signature) as run:
        alone = run(few)
        if alone is None:
            return False
        also_alone, together = run(more), run(joined)
        if also_alone is None or together is None:
            return not run.expired
    return any(map(_differ, alone, also_alone, together))


def _can_be_tried(signature: Signature) -> bool:
    specs = (*signature.inputs, *signature.outputs)
    if obstacle_to_batching(signature) or any(spec.datatype is Datatype.BF16 for spec in specs):
        return False  # the runtime takes BF16 from numpy by other ways only
    return sum(map(_bytes, signature.inputs)) <= MAX_INPUT_BYTES


def _bytes(spec: TensorSpec) -> int:
    size = NUMPY_DTYPES[spec.datatype].itemsize
    for dimension in _shape(spec, FEW + MORE):
        size *= max(1, dimension)  # numpy checks the other dimensions of an empty array, too
    return size


def _shape(spec: TensorSpec, rows: int) -> tuple[int, ...]:
    batch = spec.dim_names[0]
    free = [rows if batch and name == batch else FREE_SIZE for name in spec.dim_names]
    rest = zip(spec.shape[1:], free[1:], strict=True)
    return (rows, *(size if size >= 0 else own for size, own in rest))


def _made_up(signature: Signature, rows: int) -> list[Array]:
    random = np.random.default_rng(rows)
    return [_values(random, spec, _shape(spec, rows)) for spec in signature.inputs]


def _values(random: np.random.Generator, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    """Numbers around 0; of whole ones 0 and 1 only, which any index or mask may be."""
    dtype = NUMPY_DTYPES[spec.datatype]
    if dtype.kind == "f":
        return random.standard_normal(shape).astype(dtype)
    bits: Array = random.integers(0, 2, shape)
    return bits.astype(str).astype(np.object_) if dtype.kind == "O" else bits.astype(dtype)


class _Runs:
    """Runs of a session, all of which end when their time is up."""

    def __init__(self, session: Any, signature: Signature) -> None:
        self._session = session
        self._names = [spec.name for spec in signature.inputs]
        self._outputs = [spec.name for spec in signature.outputs]
        self._options = onnxruntime.RunOptions()
        self._options.log_severity_level = _SILENT
        self.expired = False

    def expire(self) -> None:
        self.expired = True
        self._options.terminate = True

    def __call__(self, inputs: Sequence[Array]) -> list[Array] | None:
        """The outputs, or None where the graph does not run on these inputs."""
        feeds = dict(zip(self._names, inputs, strict=True))
        try:
            outputs: list[Array] = self._session.run(self._outputs, feeds, self._options)
        except _RUN_ERRORS:
            return None
        return outputs


@contextmanager
def _running(session: Any, signature: Signature) -> Iterator[_Runs]:
    runs = _Runs(session, signature)
    timer = threading.Timer(MAX_SECONDS, runs.expire)
    timer.start()
    try:
        yield runs
    finally:
        timer.cancel()


def _differ(few: Array, more: Array, together: Array) -> bool:
    if few.ndim == 0 or few.shape[1:] != more.shape[1:]:
        return True
    alone = np.concatenate((few, more))
    if alone.shape != together.shape:
        return True
    if alone.dtype.kind != "f":
        return not np.array_equal(alone, together)
    tolerance = TOLERANCES[alone.dtype.str[1:]]
    largest = np.abs(alone[np.isfinite(alone)].astype(np.float64)).max(initial=0.0)
    return not np.allclose(
        together.astype(np.float64),
        alone.astype(np.float64),
        rtol=tolerance,
        atol=tolerance * float(largest),
        equal_nan=True,
    )
