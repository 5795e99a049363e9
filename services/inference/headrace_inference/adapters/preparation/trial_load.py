"""Opens one version on trial, saves its optimised graph, and measures it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.service.child_tasks.messages import child_error
from headrace.state.language_records import VersionKind
from headrace.state.records import SyntheticData, VersionRecord
from headrace_inference.adapters.preparation import autotuning
from headrace_inference.adapters.preparation.task import (
    HostOptions,
    PrepareReport,
    PrepareTask,
    Step,
)
from headrace_inference.adapters.preparation.text_versions import try_text_version
from headrace_inference.adapters.preparation.tunable import has_two_sessions, is_open
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.execution_providers import DeviceOptions
from headrace_inference.adapters.runtime.onnx_runtime import OnnxRunner, open_session, open_unwarmed
from headrace_inference.adapters.runtime.prepared_graph import FILES, GRAPH, PreparedGraph
from headrace_inference.adapters.runtime.synthetic_inputs import made_up_inputs
from headrace_inference.adapters.runtime.version_files import folder_of
from headrace_inference.adapters.runtime.warm_up import batch_sizes, warm_up
from headrace_inference.adapters.runtime.warm_up_costs import WarmUpBudget, is_proposed
from headrace_inference.domain.scheduling import execution_plan
from headrace_inference.domain.scheduling.execution_plan import (
    NO_PLAN,
    ONE_THREAD,
    TINY_PLAN,
    ExecutionPlan,
)
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import RunFailed
from headrace_inference.domain.scheduling.watchdog import RunHandle

logger = logging.getLogger(__name__)

_RANDOM_SECONDS = 5.0
"""How long a run on random values may take: a loop may never end on them that does on real inputs."""


def execute_task(task: PrepareTask) -> PrepareReport:
    """Do the task."""
    defaults = runtime_defaults(task.machine)
    if task.record.kind is not VersionKind.TENSORS:
        return try_text_version(task, defaults)
    return trial_load(task, defaults) if task.step is Step.TRY else measured(task, defaults)


def trial_load(task: PrepareTask, defaults: RuntimeDefaults) -> PrepareReport:
    """Open it on trial. What cannot be saved is opened all the same."""
    target = Path(task.target) if task.target else None
    measurable = task.record
    task = replace(task, record=with_minimal_warm_up(task.record))
    defaults = replace(defaults, warm_up_budget=WarmUpBudget(task.seconds))
    try:
        trial = _opened(task, defaults, target)
    except HeadraceError as error:
        return PrepareReport(child_error(error))
    try:
        problem = "" if target is None else _problem(task, defaults, target, trial)
        plan = TINY_PLAN if _is_tiny(measurable, trial, defaults.cores) else None
    finally:
        trial.close()
    return PrepareReport(
        saved=target is not None and not problem,
        unsaved_because=problem,
        affordable_rows=trial.plan.affordable_rows,
        batching_obstacle=trial.batching_obstacle,
        plan=plan,
    )


def _is_tiny(record: VersionRecord, trial: OnnxRunner, cores: int) -> bool:
    """Return whether there is nothing to measure: it is over before other threads could help."""
    inputs = trial.warmed_with() if is_open(record) else None
    if inputs is None or len(execution_plan.layouts(record.config, cores)) == 1:
        return False
    try:
        return autotuning.is_tiny(partial(trial.run, inputs))
    except RunFailed:
        return False


def with_minimal_warm_up(record: VersionRecord) -> VersionRecord:
    """The version, to be warmed once with its smallest and its largest batch: nothing new is between.

    Where the largest is only proposed, it is found by growing.
    """
    warm_up = replace(record.config.warm_up, runs=min(1, record.config.warm_up.runs))
    if is_proposed(record.config.batching):
        return replace(record, config=replace(record.config, warm_up=warm_up))
    sizes = sorted(batch_sizes(record.config.batching))
    batching = replace(
        record.config.batching,
        allowed_batch_sizes=tuple(dict.fromkeys((sizes[0], sizes[-1]))),
        preferred_batch_sizes=(),
    )
    return replace(record, config=replace(record.config, batching=batching, warm_up=warm_up))


def measured(task: PrepareTask, defaults: RuntimeDefaults) -> PrepareReport:
    """Return how it runs best. What cannot be measured is run as if nobody had asked."""
    graph, record = Path(task.graph), task.record
    saved = Path(task.saved) if task.saved else None

    def open_with(plan: ExecutionPlan) -> OnnxRunner:
        return open_unwarmed(graph, record, defaults, PreparedGraph(plan, saved))

    folder, apart = folder_of(graph, record), has_two_sessions(record, saved)
    rows = 0
    try:
        rows = _affordable_rows(record, folder, open_with)
        plan = autotuning.measure(
            _of_rows(record, rows), folder, defaults.cores, task.seconds, open_with, apart=apart
        )
    except autotuning.NoisyHost:
        return PrepareReport()
    except (HeadraceError, RunFailed) as failure:
        logger.info("not measured: %s", failure)
        plan = NO_PLAN
    return PrepareReport(plan=replace(plan, affordable_rows=rows))


def _affordable_rows(record: VersionRecord, folder: Path, open_with: autotuning.OpenWith) -> int:
    """Return the most rows that nobody asked for, with more time than a load has; 0: all that there are."""
    if not is_proposed(record.config.batching):
        return 0
    runner = open_with(ONE_THREAD)
    try:
        return warm_up(runner, with_minimal_warm_up(record), folder).affordable_rows
    finally:
        runner.close()


def _of_rows(record: VersionRecord, most: int) -> VersionRecord:
    """The version with batches of so many rows at most, if that says anything."""
    batching = record.config.batching
    if not most:
        return record
    batching = replace(batching, max_batch_size=min(most, batching.max_batch_size))
    return replace(record, config=replace(record.config, batching=batching))


def runtime_defaults(machine: HostOptions) -> RuntimeDefaults:
    """Return what a session is opened with, as the replica would."""
    return RuntimeDefaults(
        cores=machine.cores,
        spinning=machine.spinning,
        devices=DeviceOptions(
            device_id=machine.device_id,
            gpu_memory_limit_bytes=machine.gpu_memory_limit_bytes,
            engine_cache=Path(machine.engine_cache) if machine.engine_cache else None,
        ),
        custom_operators=Path(machine.custom_operators) if machine.custom_operators else None,
    )


def _opened(task: PrepareTask, defaults: RuntimeDefaults, target: Path | None) -> OnnxRunner:
    """Open and warm it, saving it if that can be done: some graphs open and cannot be saved."""
    graph, prepared = Path(task.graph), PreparedGraph(ONE_THREAD)
    if target is None:
        return open_session(graph, task.record, defaults, prepared)
    try:
        return open_session(graph, task.record, defaults, prepared, save_to=target)
    except HeadraceError:
        _remove_files(target)
        return open_session(graph, task.record, defaults, prepared)


def _problem(task: PrepareTask, defaults: RuntimeDefaults, target: Path, trial: OnnxRunner) -> str:
    """Return why the saved graph cannot be used; empty if it answers as the trial does, bit for bit."""
    if not (target / GRAPH).is_file():
        return "ONNX Runtime cannot save its optimised graph"
    try:
        saved = open_unwarmed(
            Path(task.graph), task.record, defaults, PreparedGraph(ONE_THREAD, target / GRAPH)
        )
    except HeadraceError as error:
        return f"its optimised graph does not open: {error.message}"
    try:
        alike = _answer_alike(task.record, trial, saved)
    finally:
        saved.close()
    return "" if alike else "its optimised graph gives other answers"


def _answer_alike(record: VersionRecord, trial: OnnxRunner, saved: OnnxRunner) -> bool:
    """On random values, for zeros hide lost weights; on what it was warmed with where it takes none."""
    batches = record.config.batching.max_batch_size > 0
    random = made_up_inputs(record.signature, 1, batches=batches, data=SyntheticData.RANDOM)
    alike = None if random is None else _random_alike(trial, saved, random)
    if alike is False or (alike and not record.config.warm_up.samples):
        return alike
    warmed = trial.warmed_with()
    return warmed is None or _answers(trial, warmed) == _answers(saved, warmed)


def _random_alike(trial: OnnxRunner, saved: OnnxRunner, inputs: Sequence[Array]) -> bool | None:
    """Return whether they answer alike; None where the trial fails, or does not end, on random values.

    Nobody promised it that it takes them.
    """
    handle = trial.new_handle()
    limit = threading.Timer(_RANDOM_SECONDS, setattr, (handle, "terminate", True))
    limit.start()
    try:
        answers = _answers(trial, inputs, handle)
    finally:
        limit.cancel()
    if handle.terminate or (answers is None and _answers(saved, inputs) is None):
        return None
    return answers == _answers(saved, inputs)


def _answers(
    runner: OnnxRunner, inputs: Sequence[Array], handle: RunHandle | None = None
) -> list[tuple[object, ...]] | None:
    """All bits of them; None where it does not run these inputs."""
    try:
        return [_bits(array) for array in runner.run(inputs, handle)]
    except RunFailed:
        return None


def _bits(array: Array) -> tuple[object, ...]:
    values = array.tolist() if array.dtype.hasobject else array.tobytes()
    return array.shape, array.dtype.str, values


def _remove_files(target: Path) -> None:
    for name in FILES:
        (target / name).unlink(missing_ok=True)
