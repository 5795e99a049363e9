"""Running an opened graph once before it is taken, on what a replica will warm it with.

What a crash or want of memory brings down here would bring every replica down. A run that does not end
would hold up each of them: it is refused where the graph has a loop, without which every graph comes to an
end. All else that fails says little, for made-up inputs may be wrong for the model: then the version is
taken, and its notices say so.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from headrace import errors
from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.model_files.warm_up_samples import read_rows
from headrace.onnx_runtime.errors import clean_message
from headrace.state.records import Sample, Signature, SyntheticData, TensorSpec, WarmUp
from headrace_registry.adapters.batch_invariance.trial import RUN_ERRORS

Array = npt.NDArray[Any]

MAX_INPUT_BYTES = 256 << 20
_LOOK_SECONDS = 0.05
_SILENT = 4
_MEMORY_SIGNS = ("allocate", "bad_alloc", "smaller than requested bytes")
_SEED = 1


@dataclass(frozen=True, slots=True)
class TrialBounds:
    """The processor time that a loop may take, and the monotonic time at which every run ends."""

    loop_seconds: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened graph with its signature; `loops`: it could run for ever."""

    session: Any
    signature: Signature
    loops: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial run's notices for the pusher, and why rows need not be compared after it."""

    notices: tuple[str, ...] = ()
    obstacle: str = ""


class _CannotTryError(Exception):
    """There is nothing to run the graph with; the message says why."""


def try_run(
    opened: Opened, warm_up: WarmUp, folder: Path, bounds: TrialBounds, *, batches: bool
) -> Tried:
    """Run it on the first sample, or else on made-up values of one row.

    A version that is not warmed is not tried. Raises InvalidArgument (MODEL_ENDLESS), and MemoryError.
    """
    if not warm_up.samples and not warm_up.runs:
        return Tried()
    try:
        inputs = _inputs(opened.signature, warm_up, folder, batches=batches)
    except _CannotTryError as reason:
        return Tried((f"not tried: {reason}",))
    with _bounded(bounds.loop_seconds if opened.loops else math.inf, bounds.deadline) as run:
        problem = run(opened, inputs)
    if run.ended and opened.loops:
        raise _endless(run.cpu_seconds, sampled=bool(warm_up.samples))
    if run.ended:
        return Tried(
            (f"not tried: one row takes over {run.cpu_seconds:.0f} s of processor time",),
            "one row takes too long to be tried",
        )
    if problem is None:
        return Tried()
    if _is_about_memory(problem) and not (warm_up.samples or _guesses(opened.signature)):
        raise MemoryError(str(problem))
    what = "a warm-up sample" if warm_up.samples else "made-up inputs"
    said = clean_message(str(problem) or type(problem).__name__, folder)
    return Tried((f"not tried: on {what} it fails with {said[:200]!r}",))


class _Run:
    """One run of a session, which can be ended."""

    def __init__(self) -> None:
        self._options = onnxruntime.RunOptions()
        self._options.log_severity_level = _SILENT
        self._started = time.process_time()
        self.ended = False

    @property
    def cpu_seconds(self) -> float:
        """Return how much processor time was taken since the start."""
        return time.process_time() - self._started

    def end(self) -> None:
        """End it at the next node of its graph."""
        self.ended = True
        self._options.terminate = True

    def __call__(self, opened: Opened, inputs: dict[str, Array]) -> Exception | None:
        """Raise what it failed with."""
        names = [spec.name for spec in opened.signature.outputs]
        try:
            opened.session.run(names, inputs, self._options)
        except RUN_ERRORS as error:
            return error
        return None


@contextmanager
def _bounded(cpu_seconds: float, deadline: float) -> Iterator[_Run]:
    run, over = _Run(), threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_SECONDS):
            if run.cpu_seconds >= cpu_seconds or time.monotonic() >= deadline:
                run.end()
                return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield run
    finally:
        over.set()
        watching.join()


def _inputs(
    signature: Signature, warm_up: WarmUp, folder: Path, *, batches: bool
) -> dict[str, Array]:
    """One row of every input. Raises _CannotTryError."""
    if any(spec.datatype is Datatype.BF16 for spec in (*signature.inputs, *signature.outputs)):
        raise _CannotTryError("BF16 tensors cannot be tried")
    if sum(_size(spec) for spec in signature.inputs) > MAX_INPUT_BYTES:
        raise _CannotTryError("its inputs are too large to be made up")
    sample = warm_up.samples[0] if warm_up.samples else Sample("", {})
    return {
        spec.name: _values(sample, spec, warm_up.data, folder, batches=batches)
        for spec in signature.inputs
    }


def _values(
    sample: Sample, spec: TensorSpec, data: SyntheticData, folder: Path, *, batches: bool
) -> Array:
    given = sample.inputs.get(spec.name)
    if given is None:
        return _made_up(spec.datatype, _shape(spec), data)
    if given.file:
        return read_rows(sample.name, spec, given, folder, batches=batches)
    shape = ((1, *given.shape) if batches else given.shape) if given.shape else _shape(spec)
    return _made_up(spec.datatype, shape, given.data)


def _shape(spec: TensorSpec) -> tuple[int, ...]:
    return (1,) if spec.unranked else tuple(max(1, size) if size else 0 for size in spec.shape)


def _size(spec: TensorSpec) -> int:
    return math.prod(max(1, size) for size in _shape(spec)) * NUMPY_DTYPES[spec.datatype].itemsize


def _made_up(datatype: Datatype, shape: tuple[int, ...], data: SyntheticData) -> Array:
    dtype = NUMPY_DTYPES[datatype]
    if datatype is Datatype.BYTES:
        return np.full(shape, "" if data is SyntheticData.ZEROS else "1", np.object_)
    if data is SyntheticData.ZEROS:
        return np.zeros(shape, dtype)
    random = np.random.default_rng(_SEED)
    values = random.random(shape) if dtype.kind == "f" else random.integers(0, 2, shape)
    return np.asarray(values).astype(dtype)


def _guesses(signature: Signature) -> bool:
    """Return whether a made-up input has a dimension that the signature leaves open, but for the rows."""
    return any(spec.unranked or -1 in spec.shape[1:] for spec in signature.inputs)


def _is_about_memory(problem: Exception) -> bool:
    return isinstance(problem, MemoryError) or any(sign in str(problem) for sign in _MEMORY_SIGNS)


def _endless(seconds: float, *, sampled: bool) -> errors.InvalidArgument:
    what = "its warm-up sample" if sampled else "made-up inputs (zeros, free dimensions of 1)"
    return errors.InvalidArgument(
        "MODEL_ENDLESS",
        f"the graph has a loop that did not end within {seconds:.1f} s of processor time on {what}: it "
        "would hold up every replica that loads it, and is not taken. If it ends on real inputs, give one "
        "as a sample in warm_up, set warm_up.runs to 0, or raise the registry's setting trial_seconds",
        facts={"setting": "trial_seconds"},
    )
