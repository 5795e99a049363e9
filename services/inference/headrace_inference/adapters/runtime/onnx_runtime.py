"""Versions opened on ONNX Runtime: the domain's `Runner`, on the CPU and on CUDA devices."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime

from headrace.errors import FailedPrecondition
from headrace.machine.memory import resident_bytes
from headrace.model_files.custom_operators import find_libraries
from headrace.state.declared_shapes import has_reshapes
from headrace.state.records import Provider, VersionRecord
from headrace_inference.adapters.allocator import return_freed_memory
from headrace_inference.adapters.runtime import division_guard, execution_providers, session_options
from headrace_inference.adapters.runtime.background_priority import (
    lower_priority_after_threads_started,
    reserve_cores,
)
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.execution_providers import (
    Hardware,
    ProviderList,
)
from headrace_inference.adapters.runtime.io_binding import (
    Execute,
    array_execution,
    bound_execution,
    needs_binding,
)
from headrace_inference.adapters.runtime.load_limit import load_limit
from headrace_inference.adapters.runtime.ort_errors import RUNTIME_ERRORS, run_failed
from headrace_inference.adapters.runtime.prepared_graph import (
    UNPREPARED,
    PreparedGraph,
    open_as_saved,
    save_into,
)
from headrace_inference.adapters.runtime.reshaping import reshaping
from headrace_inference.adapters.runtime.version_files import folder_of, no_memory
from headrace_inference.adapters.runtime.warm_up import Warmed, warm_up
from headrace_inference.domain.scheduling.execution_plan import NO_PLAN
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import OutOfMemory, RunFailed
from headrace_inference.domain.scheduling.watchdog import RunHandle

logger = logging.getLogger(__name__)

_MOST_GIVING_BACK_SECONDS = 0.25
"""A version whose runs take longer keeps what they took: it would use the cores of others."""

_TENSORRT_MISSING = "Please install TensorRT libraries"


class OnnxRunner:
    """An open session as the domain wants it. `run` may be called from several threads at a time."""

    def __init__(self, execute: Execute, provider: str, loading: RunHandle) -> None:
        self._execute: Execute | None = execute
        self._execute_alone: Execute | None = None
        self._loading = loading
        self._provider = provider
        self.labels: Mapping[str, Sequence[bytes]] = {}
        """The names of the classes of outputs, set by whoever found files of them."""
        self.batching_obstacle = ""
        """Why its requests cannot share a run, set by whoever warmed it."""
        self.warmed_with: Callable[[], Sequence[Array] | None] = lambda: None
        """Makes the inputs of a run that worked, set by whoever warmed it."""
        self.plan = NO_PLAN
        """How it is to be run, where its config leaves that open; set by whoever opened it."""
        self.graph = "pushed"
        """Which graph it runs: `prepared`, as it was optimised and saved, or as it was `pushed`."""
        self.remark = ""
        """What whoever asks how it serves should know; set by whoever opened it."""
        self._giving_back_seconds = 0.0
        self.memory_bytes = 0
        """How much the process grew while this version was opened and warmed.

        Approximate: it counts what other threads took meanwhile, and knows nothing of a device's memory.
        """

    @property
    def provider(self) -> str:
        """The execution provider that it got: cpu, cuda or tensorrt."""
        return self._provider

    def use_for_single_requests(self, other: OnnxRunner) -> None:
        """Run lone requests with the session of `other`, which is this one's from now on."""
        self._execute_alone, other._execute = other._execute, None

    def new_handle(self) -> RunHandle:
        """Return what ends a run that is begun with it: its run options."""
        handle: RunHandle = session_options.run_options()
        return handle

    def run(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        """All outputs for the inputs, both in the graph's order; BYTES as object arrays of str.

        Without a handle the run is part of opening, and ends with it. Raises RunFailed.
        """
        return self._outputs(self._execute, inputs, handle)

    def run_alone(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        """The same for a request that comes while nothing else runs. Raises RunFailed."""
        return self._outputs(self._execute_alone or self._execute, inputs, handle)

    def _outputs(
        self, execute: Execute | None, inputs: Sequence[Array], handle: RunHandle | None
    ) -> list[Array]:
        assert execute is not None, "closed"
        try:
            return execute(inputs, self._loading if handle is None else handle)
        except RUNTIME_ERRORS as error:
            raise run_failed(error) from error

    def use_warm_up(self, warmed: Warmed) -> None:
        """Remember what ran when it was warmed, and what costs too much."""
        self.warmed_with = warmed.make_inputs
        self.plan = replace(self.plan, affordable_rows=warmed.affordable_rows)

    def rest(self) -> None:
        """Give back what runs took beside the weights, and what the C library keeps of messages."""
        if self._giving_back_seconds <= _MOST_GIVING_BACK_SECONDS:
            self.give_back_memory()
        return_freed_memory()

    def give_back_memory(self) -> None:
        """Run once more what ran first, and keep no memory that larger runs took; as far as that works."""
        started = time.monotonic()
        self._run_shrinking()
        self._giving_back_seconds = time.monotonic() - started

    def _run_shrinking(self) -> None:
        with suppress(RunFailed):
            inputs = self.warmed_with() if self._provider == Provider.CPU else None
            for execute in filter(None, (self._execute, self._execute_alone)) if inputs else ():
                self._outputs(execute, inputs or (), session_options.shrinking_run_options())

    def probe(self) -> str:
        """Return what the run that it was warmed with fails with now; empty if it works or is unknown."""
        try:
            inputs = self.warmed_with()
            if inputs is not None:
                self.run(inputs, self.new_handle())
        except RunFailed as failure:
            return str(failure)
        return ""

    def close(self) -> None:
        """Give the memory back. Called once, when no run is under way."""
        # The only references to the sessions, which go with them.
        self._execute = self._execute_alone = None
        return_freed_memory()


def open_session(
    graph_path: Path,
    record: VersionRecord,
    defaults: RuntimeDefaults | None = None,
    prepared: PreparedGraph = UNPREPARED,
    *,
    save_to: Path | None = None,
) -> OnnxRunner:
    """Open and warm a version; the caller closes it. Blocks, without holding the interpreter's lock.

    What is `prepared` of it is used; else its optimised graph is saved into the folder `save_to`, if given.
    Raises FailedPrecondition (PROVIDER_UNAVAILABLE, MODEL_UNLOADABLE, WARM_UP_FAILED, DEVICE_FAILED,
    LOAD_TIMEOUT, LOAD_TOO_LARGE, CUSTOM_OPERATORS_UNAVAILABLE), Unimplemented (DATATYPES_UNSUPPORTED) or
    Unavailable (OUT_OF_MEMORY).
    """
    defaults = defaults or RuntimeDefaults()
    before = settled_bytes()
    lone = prepared.for_single_requests()
    options = [options_for(record, defaults, each) for each in (prepared, lone) if each is not None]
    if save_to is not None:
        save_into(options[0], save_to)
    runs = session_options.run_options()

    def cancel() -> None:
        runs.terminate = True
        for each in options:
            each.set_load_cancellation_flag(True)

    # This thread gives way for good, and so would threads of a session that it opens after that.
    first = defaults if lone is None else replace(defaults, gives_way=False)
    free = reserve_cores() if defaults.gives_way else nullcontext()
    with free, load_limit(record.key, defaults.load_bounds, cancel):
        session = open_inference_session(graph_path, record, options[0], first, prepared)
        runner = _runner(session, record, runs, defaults)
        runner.plan = prepared.plan
        runner.graph = "prepared" if prepared.graph is not None else "pushed"
        try:
            if lone is not None:
                session = open_inference_session(graph_path, record, options[1], defaults, lone)
                runner.use_for_single_requests(_runner(session, record, runs, defaults))
            folder = folder_of(graph_path, record)
            warmed = warm_up(runner, record, folder, defaults.warm_up_budget)
            runner.use_warm_up(warmed)
            if warmed.rows > 1:
                runner.give_back_memory()
        except BaseException:
            runner.close()
            raise
    runner.memory_bytes = max(0, settled_bytes() - before)
    return runner


def open_unwarmed(
    graph_path: Path, record: VersionRecord, defaults: RuntimeDefaults, prepared: PreparedGraph
) -> OnnxRunner:
    """Open a version without bounds and without warming it; the caller closes it. Raises as above."""
    options = options_for(record, defaults, prepared)
    session = open_inference_session(graph_path, record, options, defaults, prepared)
    return _runner(session, record, session_options.run_options(), defaults)


def options_for(record: VersionRecord, defaults: RuntimeDefaults, prepared: PreparedGraph) -> Any:
    """Return the options with which a version's session is opened."""
    config = prepared.plan.applied_to(record.config)
    libraries = find_libraries(config.session.custom_operators, defaults.custom_operators)
    options = session_options.build(
        config, defaults.cores, spinning=defaults.spinning, libraries=libraries
    )
    if prepared.graph is not None:
        open_as_saved(options)
    return options


def settled_bytes() -> int:
    """Return what the process holds without what it freed: opening parses a copy of all weights."""
    return_freed_memory()
    return resident_bytes()


def _runner(
    session: Any, record: VersionRecord, runs: Any, defaults: RuntimeDefaults
) -> OnnxRunner:
    signature = record.signature
    provider = execution_providers.short_name(session.get_providers()[0])
    if needs_binding(signature, provider, asked=record.config.session.io_binding):
        device = "cpu" if provider == Provider.CPU else "cuda"
        execute = bound_execution(session, signature, device, defaults.devices.device_id)
    else:
        execute = array_execution(session, signature)
    if has_reshapes(record.config.shapes):
        execute = reshaping(execute, record)
    return OnnxRunner(execute, provider, runs)


def open_inference_session(
    graph_path: Path,
    record: VersionRecord,
    options: Any,
    defaults: RuntimeDefaults,
    prepared: PreparedGraph,
) -> Any:
    """The session alone; nothing bounds it, and nobody has warmed it. Raises as `open_session` does."""
    asked = record.config.provider
    found = defaults.hardware()
    told = record.config.provider_options
    providers = execution_providers.choose(asked, found, defaults.devices, told)
    if len(providers) > 1:
        execution_providers.load_cuda_libraries()
    # Devices start threads of their own when they are set up, which must not give way.
    gives_way = defaults.gives_way and len(providers) == 1
    with _readable(graph_path, prepared) as path:
        session = _create(path, record, options, providers, found, gives_way=gives_way)
    if prepared.graph is not None:
        _refuse_other_inputs(session, record)
    got = session.get_providers()
    execution_providers.refuse_fallback(asked, got, found)
    facts = {"version": record.key, "asked": str(asked), "got": got, "devices": found.devices()}
    logger.info("session opened", extra=facts)
    if execution_providers.fell_back(asked, got, found):
        logger.warning("CUDA could not be loaded; the version runs on the CPU", extra=facts)
    return session


def _refuse_other_inputs(session: Any, record: VersionRecord) -> None:
    """ONNX Runtime saves some old graphs, whose weights are inputs, so that they ask for more inputs."""
    expected = {spec.name for spec in record.signature.inputs}
    if {value.name for value in session.get_inputs()} != expected:
        raise FailedPrecondition(
            "MODEL_UNLOADABLE",
            f"the saved graph of {record.key} has other inputs than its own graph",
        )


def _readable(graph_path: Path, prepared: PreparedGraph) -> AbstractContextManager[Path]:
    """Return where the graph is to be read. Divisions in a saved one are guarded already."""
    if prepared.graph is not None:
        return nullcontext(prepared.graph)
    return division_guard.guarded(graph_path)


def _create(
    path: Path,
    record: VersionRecord,
    options: Any,
    providers: ProviderList,
    found: Hardware,
    *,
    gives_way: bool,
) -> Any:
    left_out = lower_priority_after_threads_started() if gives_way else None
    try:
        # Its own fallback prints to standard output and hides what went wrong: ours is `choose`.
        return onnxruntime.InferenceSession(
            str(path), options, providers=providers, disabled_optimizers=left_out, enable_fallback=0
        )
    except RUNTIME_ERRORS as error:
        if _TENSORRT_MISSING in str(error):
            execution_providers.refuse_fallback(record.config.provider, (), found)
        failure = run_failed(error, path.parent)
        if isinstance(failure, OutOfMemory):
            raise no_memory(record, failure) from error
        raise FailedPrecondition(
            "MODEL_UNLOADABLE",
            f"onnx runtime cannot open {record.key}: {failure}; export the model again, for an opset "
            f"that onnxruntime {onnxruntime.__version__} knows, and push it as a new version",
        ) from error
