"""Run a version on made-up inputs before it answers, so that its first caller does not pay for set-up.

The values are zeros and empty strings. A free dimension is as large as the batch where it has the batch
dimension's name, else 1. Such inputs may be wrong for the model (an index, a shape, a number in a string),
so a failed run says little. It fails the load only where it says enough, which `judge` decides:

- the device failed: it would fail for every caller;
- no dimension was guessed and there was no memory for a batch that the serving config allows;
- no dimension was guessed and what ran with one row does not run with more: the model does not batch.
"""

from __future__ import annotations

import enum
import functools
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.errors import FailedPrecondition, HeadraceError, Unavailable
from headrace.state.records import Batching, Signature, TensorSpec, VersionRecord
from headrace_inference.adapters.runtime.run_failures import DeviceFailed, OutOfMemory
from headrace_inference.domain.requests import Array
from headrace_inference.domain.runner import RunFailed, Runner

logger = logging.getLogger(__name__)

MAX_MADE_UP_BYTES = 1 << 30
"""Making up larger inputs would take the memory of the versions that answer."""

RETRY_AFTER_SECONDS = 5.0


MakeInputs = Callable[[], Sequence[Array] | None]
"""Makes the inputs of a run, or None."""


class Verdict(enum.Enum):
    """What a failed warm-up run means for the version."""

    LOAD_ANYWAY = "load anyway"
    NO_MEMORY = "no memory"
    DEVICE_FAILED = "device failed"
    DOES_NOT_BATCH = "does not batch"


def warm_up(runner: Runner, record: VersionRecord) -> MakeInputs:
    """Run every warmed batch size; what makes the inputs of the first run, if that worked.

    Raises FailedPrecondition or Unavailable where a failed run fails the load.
    """
    config = record.config
    batches = config.batching.max_batch_size > 0
    warmed_with: MakeInputs = _none
    for rows in batch_sizes(config.batching) if config.warm_up.runs else ():
        make = functools.partial(made_up_inputs, record.signature, rows, batches=batches)
        inputs = make()
        if inputs is None:
            logger.info("not warmed: inputs too large", extra=_facts(record, rows, ()))
            break
        failure = _run(runner, inputs, config.warm_up.runs)
        if failure is not None:
            _settle(record, rows, inputs, failure)
            break
        warmed_with = make if warmed_with is _none else warmed_with
    return warmed_with


def _none() -> None:
    return None


def batch_sizes(batching: Batching) -> tuple[int, ...]:
    """Those that are allowed, if only some are; else 1, the largest, preferred sizes and powers of two.

    The largest comes second: TensorRT builds an engine for the range of sizes seen, and so builds two.
    """
    largest = max(1, batching.max_batch_size)
    if batching.allowed_batch_sizes:
        smallest, *between = batching.allowed_batch_sizes
        return tuple(dict.fromkeys((smallest, largest, *between)))
    powers = {1 << exponent for exponent in range(largest.bit_length())}
    others = {size for size in {*powers, *batching.preferred_batch_sizes} if 1 < size < largest}
    return tuple(dict.fromkeys((1, largest, *sorted(others))))


def made_up_inputs(signature: Signature, rows: int, *, batches: bool) -> list[Array] | None:
    """One input for each of the signature's; None where they would be over MAX_MADE_UP_BYTES."""
    shapes = [made_up_shape(spec, rows, batches=batches) for spec in signature.inputs]
    dtypes = [NUMPY_DTYPES[spec.datatype] for spec in signature.inputs]
    sizes = map(_most_bytes, shapes, dtypes)
    if sum(sizes) > MAX_MADE_UP_BYTES:
        return None
    return [_zeros(spec, shape) for spec, shape in zip(signature.inputs, shapes, strict=True)]


def made_up_shape(spec: TensorSpec, rows: int, *, batches: bool) -> tuple[int, ...]:
    """The shape of a made-up input of so many rows."""
    names = _names(spec)
    batch_name = names[0] if batches and names else ""
    shape = [
        rows if name and name == batch_name else 1 if size < 0 else size
        for size, name in zip(spec.shape, names, strict=True)
    ]
    return (rows, *shape[1:]) if batches and shape else tuple(shape)


def guesses(signature: Signature, *, batches: bool) -> bool:
    """Whether a made-up input has a dimension whose size the signature leaves open."""
    return any(
        size < 0 and not (batches and (place == 0 or (name and name == _names(spec)[0])))
        for spec in signature.inputs
        for place, (size, name) in enumerate(zip(spec.shape, _names(spec), strict=True))
    )


def judge(failure: RunFailed, rows: int, *, guessed: bool) -> Verdict:
    """What a failed run of so many rows means; all smaller numbers of rows that were tried ran."""
    if isinstance(failure, DeviceFailed):
        return Verdict.DEVICE_FAILED
    if guessed:
        return Verdict.LOAD_ANYWAY
    if isinstance(failure, OutOfMemory):
        return Verdict.NO_MEMORY
    return Verdict.DOES_NOT_BATCH if rows > 1 else Verdict.LOAD_ANYWAY


def _names(spec: TensorSpec) -> Sequence[str]:
    missing = len(spec.shape) - len(spec.dim_names)
    return (*spec.dim_names, *[""] * missing)


def _most_bytes(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    # numpy checks the other dimensions of an empty array, too.
    return math.prod(max(1, size) for size in shape) * dtype.itemsize


def _zeros(spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    if spec.datatype is Datatype.BYTES:
        return np.full(shape, "", np.object_)
    return np.zeros(shape, NUMPY_DTYPES[spec.datatype])


def _run(runner: Runner, inputs: Sequence[Array], times: int) -> RunFailed | None:
    try:
        for _ in range(times):
            runner.run(inputs)
    except RunFailed as failure:
        return failure
    return None


def _settle(record: VersionRecord, rows: int, inputs: Sequence[Array], failure: RunFailed) -> None:
    batches = record.config.batching.max_batch_size > 0
    verdict = judge(failure, rows, guessed=guesses(record.signature, batches=batches))
    if verdict is not Verdict.LOAD_ANYWAY:
        raise _load_failed(verdict, record, rows, failure) from failure
    logger.info(
        "warm-up run failed on made-up inputs; loading all the same: %s",
        failure,
        extra=_facts(record, rows, inputs),
    )


def _facts(record: VersionRecord, rows: int, inputs: Sequence[Array]) -> dict[str, Any]:
    shapes = [list(array.shape) for array in inputs]
    return {"version": record.key, "rows": rows, "shapes": shapes}


def _load_failed(
    verdict: Verdict, record: VersionRecord, rows: int, failure: RunFailed
) -> HeadraceError:
    if verdict is Verdict.NO_MEMORY:
        return Unavailable(
            "OUT_OF_MEMORY",
            f"no memory to run {rows} rows of {record.key}: {failure}; unload other versions, or push "
            "it with a smaller batching.max_batch_size",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    if verdict is Verdict.DEVICE_FAILED:
        return FailedPrecondition(
            "DEVICE_FAILED",
            f"the device failed when {record.key} was warmed: {failure}; check the GPU and its driver",
        )
    return FailedPrecondition(
        "WARM_UP_FAILED",
        f"{record.key} runs one row but not {rows} at once: {failure}; push it with "
        "batching.max_batch_size 0, or with an artifact whose first dimension is a batch dimension",
    )
