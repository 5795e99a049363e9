"""Trying what was proven: rows together and alone, on made-up values of several magnitudes.

Runs in the checker's child process. What cannot be tried counts as no.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.machine.cores import usable_cores
from headrace.machine.memory import resident_bytes
from headrace.state.records import Signature
from headrace_registry.adapters.batch_invariance.made_up_rows import (
    Array,
    Manner,
    joined,
    made_up_rows,
    size_bytes,
)

DRAWS: tuple[tuple[float, ...], ...] = (
    (1.0, 100.0),
    (0.1, 1.0, 30.0),
    (1.0, 1000.0, 0.01, 1.0, 30.0),
)
"""The magnitudes of the rows of each batch: loud ones drown quiet ones where anything is shared."""

FREE_SIZES = (4, 20, 32, 64, 1, 128, 256)
"""Of other free dimensions, one after the other until the graph runs."""
_BOUND = 100
"""Of whole numbers, where the graph takes more than 0 and 1."""

MAX_SECONDS = 10.0
_SIDE_BY_SIDE = 4
"""Runs at a time at most: each takes memory."""

MAX_INPUT_BYTES = 64 << 20
MAX_ROW_BYTES = 512 << 20
"""Of memory that one row may take: five beside three others take eight times as much."""

TOLERANCES = {"f2": 2e-2, "f4": 1e-3, "f8": 1e-3}
"""Of a row's largest value: kernels add in another order for another number of rows."""
QUANTIZED_TOLERANCE = 5e-2
"""Where values are rounded to few steps, the next step may be taken."""
_NOISE = 1e-5
"""Of a row's largest input, where what comes out is small because large numbers cancelled out."""

_SILENT = 4
RUN_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    MemoryError,
    *{
        kind
        for kind in vars(state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    },
)
"""All that a session raises: a class for each of its status codes, and built-in ones from its binding."""


class TrialFailedError(Exception):
    """Something was seen against batching, or could not be tried; the message says what."""


def find_fault(session: Any, signature: Signature, *, quantized: bool = False) -> str:
    """Return what speaks against joining rows, or nothing. `quantized`: the graph rounds values."""
    try:
        with _running(session, signature) as run:
            _Trial(run, signature, quantized=quantized).hold()
    except TrialFailedError as error:
        return str(error)
    return ""


class _Runs:
    """Runs of a session, all of which end when their time is up."""

    def __init__(self, session: Any, signature: Signature) -> None:
        self._session = session
        self._outputs = [spec.name for spec in signature.outputs]
        self._options = onnxruntime.RunOptions()
        self._options.log_severity_level = _SILENT
        self._expired = False

    def expire(self) -> None:
        """End the run that is under way, and all that follow."""
        self._expired = True
        self._options.terminate = True

    def __call__(self, inputs: dict[str, Array]) -> list[Array] | None:
        """The outputs, or None where the graph does not run on these inputs."""
        try:
            outputs: list[Array] = self._session.run(self._outputs, inputs, self._options)
        except RUN_ERRORS:
            outputs = []
        if self._expired:
            raise TrialFailedError(f"trying it took more than {MAX_SECONDS:g} s")
        return outputs or None


@contextmanager
def _running(session: Any, signature: Signature) -> Iterator[_Runs]:
    runs = _Runs(session, signature)
    timer = threading.Timer(MAX_SECONDS, runs.expire)
    timer.start()
    try:
        yield runs
    finally:
        timer.cancel()


class _Trial:
    def __init__(self, run: _Runs, signature: Signature, *, quantized: bool) -> None:
        self._run = run
        self._signature = signature
        self._names = [spec.name for spec in signature.outputs]
        self._quantized = quantized
        self._row_seconds = math.inf

    def hold(self) -> None:
        """Raise TrialFailedError unless rows gave together what they gave alone, in every draw."""
        specs = (*self._signature.inputs, *self._signature.outputs)
        if any(spec.datatype is Datatype.BF16 for spec in specs):
            raise TrialFailedError("BF16 tensors cannot be tried")
        manner = self._bold(self._manner_that_runs())
        self._check_price(manner)
        for seed, loudness in enumerate(DRAWS):
            self._draw(manner, loudness, seed)

    def _manner_that_runs(self) -> Manner:
        free = any(-1 in spec.shape[1:] for spec in self._signature.inputs)
        for size in FREE_SIZES if free else FREE_SIZES[:1]:
            manner = Manner(size)
            if size_bytes(self._signature, manner) * len(DRAWS[-1]) > MAX_INPUT_BYTES:
                raise TrialFailedError("its rows are too large to be tried")
            if self._runs(manner):
                return manner
        raise TrialFailedError("it did not run on the rows that were made up to try it")

    def _runs(self, manner: Manner) -> bool:
        before = _memory_bytes()
        (row,) = made_up_rows(self._signature, manner, (1.0,), 0)
        started = time.monotonic()
        outputs = self._run(row)
        if outputs is None:
            return False
        self._row_seconds = min(self._row_seconds, time.monotonic() - started)
        if _memory_bytes() - before > MAX_ROW_BYTES:
            raise TrialFailedError(f"one row takes more than {MAX_ROW_BYTES >> 20} MiB of memory")
        self._check_rows(outputs, 1)
        return True

    def _bold(self, manner: Manner) -> Manner:
        """The same with larger whole numbers, where the graph takes any and runs on them."""
        if all(NUMPY_DTYPES[spec.datatype].kind == "f" for spec in self._signature.inputs):
            return manner
        bold = Manner(manner.free_size, _BOUND)
        return bold if self._runs(bold) else manner

    def _check_price(self, manner: Manner) -> None:
        if self._is_dear():  # the first run makes room, and so takes longer
            self._runs(manner)
        if self._is_dear():
            raise TrialFailedError(
                f"one row takes {self._row_seconds:.1f} s, which is too long to be tried"
            )

    def _is_dear(self) -> bool:
        return self._row_seconds * 2 * sum(map(len, DRAWS)) > MAX_SECONDS

    def _check_rows(self, outputs: Sequence[Array], rows: int) -> None:
        for name, output in zip(self._names, outputs, strict=True):
            found = len(output) if isinstance(output, np.ndarray) and output.ndim else 0
            if found != rows:
                raise TrialFailedError(f"on trial {rows} rows gave {found} in output {name[:80]!r}")

    def _draw(self, manner: Manner, loudness: tuple[float, ...], seed: int) -> None:
        rows = made_up_rows(self._signature, manner, loudness, seed)
        together, *each = self._side_by_side([joined(rows), *rows])
        if together is None:
            raise TrialFailedError(f"on trial {len(rows)} rows did not run together")
        self._check_rows(together, len(rows))
        for place, (row, alone) in enumerate(zip(rows, each, strict=True)):
            if alone is None:
                raise TrialFailedError("it ran on some of the made-up rows only")
            self._check_rows(alone, 1)
            self._compare(row, alone, [output[place : place + 1] for output in together])

    def _side_by_side(self, runs: Sequence[dict[str, Array]]) -> list[list[Array] | None]:
        """Run all of them, each on a core of its own as far as there are cores. Raises TrialFailedError."""
        with ThreadPoolExecutor(min(_SIDE_BY_SIDE, usable_cores())) as pool:
            return list(pool.map(self._run, runs))

    def _compare(self, row: dict[str, Array], alone: list[Array], shared: list[Array]) -> None:
        noise = _NOISE * max(1.0, *(_largest(value) for value in row.values()))
        for name, one, other in zip(self._names, alone, shared, strict=True):
            if not self._equal(one, other, noise):
                raise TrialFailedError(
                    f"on trial a row gave another value for output {name[:80]!r} beside other rows"
                )

    def _equal(self, one: Array, other: Array, noise: float) -> bool:
        if one.shape != other.shape:
            return False
        if one.dtype.kind != "f":
            return self._quantized or np.array_equal(one, other)
        tolerance = TOLERANCES[one.dtype.str[1:]]
        if self._quantized:
            tolerance = max(tolerance, QUANTIZED_TOLERANCE)
        return np.allclose(
            other.astype(np.float64),
            one.astype(np.float64),
            rtol=tolerance,
            atol=tolerance * _largest(one) + noise,
            equal_nan=True,
        )


def _largest(values: Array) -> float:
    if values.dtype.kind != "f":
        return 0.0
    return float(np.abs(values[np.isfinite(values)].astype(np.float64)).max(initial=0.0))


def _memory_bytes() -> int:
    """Return what this process has, as ONNX Runtime keeps what a run took."""
    return resident_bytes()
