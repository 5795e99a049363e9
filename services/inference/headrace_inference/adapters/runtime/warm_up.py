"""Run a version before it answers, so that its first caller does not pay for set-up.

Samples that its serving config gives must run: a failed run fails the load. Without samples inputs are made
up. Those may be wrong for the model (an index, a shape, a number in a string), so a failed run says little,
and fails the load only where it says enough, which `judge` decides:

- the device failed: it would fail for every caller;
- no dimension was guessed and there was no memory for a batch that the serving config allows;
- no dimension was guessed and what ran with one row does not run with more: the model does not batch.

Rows that were proposed, and nobody asked for, are run as far as `warm_up_costs` can afford them; what
they fail with, once a single row ran, only bounds them.

What ran may show that the rows of its outputs are not those of its inputs: then no requests share a run.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from headrace.errors import FailedPrecondition, HeadraceError, Unavailable
from headrace.state.records import Batching, VersionRecord
from headrace_inference.adapters.runtime.ort_errors import DeviceFailed
from headrace_inference.adapters.runtime.synthetic_inputs import guesses
from headrace_inference.adapters.runtime.warm_up_costs import (
    FULL_BUDGET,
    WarmUpBudget,
    WarmUpCosts,
    is_proposed,
)
from headrace_inference.adapters.runtime.warm_up_inputs import WarmUpInputs, warm_up_inputs
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.row_guard import RowsDiffer, check_rows
from headrace_inference.domain.scheduling.runner import OutOfMemory, RunFailed, Runner

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5.0


MakeInputs = Callable[[], Sequence[Array] | None]
"""Makes the inputs of a run, or None."""


class Verdict(enum.Enum):
    """The consequence of a failed warm-up run for the version."""

    LOAD_ANYWAY = "load anyway"
    NO_MEMORY = "no memory"
    DEVICE_FAILED = "device failed"
    DOES_NOT_BATCH = "does not batch"
    SAMPLE_FAILED = "sample failed"


def _none() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Warmed:
    """The warm-up's result: `make_inputs` makes inputs that worked, `rows` are the most that ran.

    `affordable_rows`: more of those that were proposed cost too much, or do not run (0: all of them do).
    """

    make_inputs: MakeInputs = _none
    rows: int = 0
    affordable_rows: int = 0


def warm_up(
    runner: Runner, record: VersionRecord, folder: Path, budget: WarmUpBudget = FULL_BUDGET
) -> Warmed:
    """Run every warmed batch size. `folder` has the version's files.

    What nobody need wait for is run within the `budget`.
    Raises FailedPrecondition or Unavailable where a failed run fails the load, InvalidArgument
    (WARM_UP_SAMPLE_INVALID).
    """
    each = _warm_proposed if is_proposed(record.config.batching) else _warm
    warmed = [
        each(runner, record, given, budget=budget) for given in warm_up_inputs(record, folder)
    ]
    return Warmed(
        next((one.make_inputs for one in warmed if one.rows), _none),
        max((one.rows for one in warmed), default=0),
        min((one.affordable_rows for one in warmed if one.affordable_rows), default=0),
    )


def _warm(
    runner: Runner, record: VersionRecord, given: WarmUpInputs, *, budget: WarmUpBudget
) -> Warmed:
    """Run every size that the config gives, and those between.

    All of those may run once a trial was made: what is not asked for is left out where it takes long.
    """
    warmed, costs = Warmed(), WarmUpCosts(budget)
    sizes = batch_sizes(record.config.batching)
    is_bounded = not budget.is_trial and not given.name and given.runs == 1
    for rows in (sorted(sizes) if is_bounded else sizes) if given.runs else ():
        if is_bounded and not costs.afford(rows):
            break
        inputs = _inputs(given, rows)
        if inputs is None:
            logger.info("not warmed: inputs too large", extra=_facts(record, rows, ()))
            continue
        with costs.running(rows):
            failure = _run(partial(_run_and_look, runner, record, rows), inputs, given.runs)
        if failure is None and runner.plan.single_request_threads and rows == min(sizes):
            failure = _run(runner.run_alone, inputs, given.runs)
        if failure is not None:
            _settle(record, rows, inputs, failure, given.name)
            break
        make = warmed.make_inputs if warmed.rows else partial(_made_again, given, rows)
        warmed = Warmed(make, max(rows, warmed.rows))
    return warmed


def _warm_proposed(
    runner: Runner, record: VersionRecord, given: WarmUpInputs, *, budget: WarmUpBudget
) -> Warmed:
    """Run growing sizes, as far as they run, are put together, and can be afforded."""
    costs, make = WarmUpCosts(budget), partial(_made_again, given, 1)
    most = runner.plan.most_rows(record.config)
    sizes = [rows for rows in sorted(batch_sizes(record.config.batching)) if rows <= most]
    for rows in sizes if given.runs else ():
        inputs = _inputs(given, rows) if costs.afford(rows) else None
        if inputs is None:
            logger.info("not warmed: it costs too much", extra=_facts(record, rows, ()))
            bound = max(1, costs.rows) if budget.is_trial else runner.plan.affordable_rows
            return Warmed(make, costs.rows, bound)
        with costs.running(rows):
            failure = _run(partial(_run_and_look, runner, record, rows), inputs, given.runs)
        if failure is None and runner.plan.single_request_threads and rows == 1:
            failure = _run(runner.run_alone, inputs, given.runs)
        if failure is not None:
            return _bounded(record, rows, inputs, failure, given)
    return Warmed(make, costs.rows, runner.plan.affordable_rows)


def _bounded(
    record: VersionRecord,
    rows: int,
    inputs: Sequence[Array],
    failure: RunFailed,
    given: WarmUpInputs,
) -> Warmed:
    """Return what follows where so many proposed rows do not run, and half of them did.

    A sample is no guess: rows of it that do not run fail the load, unless there was no room for them.
    """
    no_guess = bool(given.name) and not isinstance(failure, OutOfMemory)
    if rows == 1 or no_guess or isinstance(failure, DeviceFailed):
        _settle(record, rows, inputs, failure, given.name)
        return Warmed()
    logger.warning(
        "a proposed batch size does not run: %s", failure, extra=_facts(record, rows, inputs)
    )
    return Warmed(partial(_made_again, given, 1), rows // 2, rows // 2)


def _run_and_look(
    runner: Runner, record: VersionRecord, rows: int, inputs: Sequence[Array]
) -> None:
    """Run, and remember it where the outputs have other rows than the inputs of a version that batches."""
    outputs = runner.run(inputs)
    if record.config.batching.max_batch_size:
        try:
            check_rows(record.signature.outputs, outputs, rows)
        except RowsDiffer as found:
            runner.batching_obstacle = runner.batching_obstacle or str(found)


def _inputs(given: WarmUpInputs, rows: int) -> Sequence[Array] | None:
    """The inputs of so many rows; None where they are too large, for us or for this machine now."""
    try:
        return given.make(rows)
    except MemoryError:
        return None


def _made_again(given: WarmUpInputs, rows: int) -> Sequence[Array] | None:
    try:
        return _inputs(given, rows)
    except HeadraceError:  # its file is gone meanwhile
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


def judge(failure: RunFailed, rows: int, *, guessed: bool) -> Verdict:
    """Return what a failed run of so many rows means; all smaller numbers of rows that were tried ran."""
    if isinstance(failure, DeviceFailed):
        return Verdict.DEVICE_FAILED
    if guessed:
        return Verdict.LOAD_ANYWAY
    if isinstance(failure, OutOfMemory):
        return Verdict.NO_MEMORY
    return Verdict.DOES_NOT_BATCH if rows > 1 else Verdict.LOAD_ANYWAY


def judge_sample(failure: RunFailed) -> Verdict:
    """Return what a failed run of a given sample means, which is no guess."""
    if isinstance(failure, DeviceFailed):
        return Verdict.DEVICE_FAILED
    return Verdict.NO_MEMORY if isinstance(failure, OutOfMemory) else Verdict.SAMPLE_FAILED


def _run(
    run: Callable[[Sequence[Array]], object], inputs: Sequence[Array], times: int
) -> RunFailed | None:
    try:
        for _ in range(times):
            run(inputs)
    except RunFailed as failure:
        return failure
    return None


def _settle(
    record: VersionRecord, rows: int, inputs: Sequence[Array], failure: RunFailed, sample: str
) -> None:
    batches = record.config.batching.max_batch_size > 0
    guessed = guesses(record.signature, batches=batches)
    verdict = judge_sample(failure) if sample else judge(failure, rows, guessed=guessed)
    if verdict is not Verdict.LOAD_ANYWAY:
        raise _load_failed(verdict, record, rows, failure, sample) from failure
    logger.info(
        "warm-up run failed on made-up inputs; loading all the same: %s",
        failure,
        extra=_facts(record, rows, inputs),
    )


def _facts(record: VersionRecord, rows: int, inputs: Sequence[Array]) -> dict[str, Any]:
    shapes = [list(array.shape) for array in inputs]
    return {"version": record.key, "rows": rows, "shapes": shapes}


def _load_failed(
    verdict: Verdict, record: VersionRecord, rows: int, failure: RunFailed, sample: str
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
    if verdict is Verdict.SAMPLE_FAILED:
        return FailedPrecondition(
            "WARM_UP_FAILED",
            f"{record.key} does not run {rows} rows of its warm-up sample {sample!r}: {failure}; push it "
            "with a sample that suits the model, or without samples",
            facts={"sample": sample},
        )
    return FailedPrecondition(
        "WARM_UP_FAILED",
        f"{record.key} runs one row but not {rows} at once: {failure}; push it with "
        "batching.max_batch_size 0, or with an artifact whose first dimension is a batch dimension",
    )
