"""Opens the sessions of versions of text, which run their graphs in ways of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from headrace.state.records import VersionRecord
from headrace_inference.adapters.runtime import session_options
from headrace_inference.adapters.runtime.background_priority import reserve_cores
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.load_limit import load_limit
from headrace_inference.adapters.runtime.onnx_runtime import open_inference_session, options_for
from headrace_inference.adapters.runtime.prepared_graph import UNPREPARED
from headrace_inference.domain.scheduling.watchdog import RunHandle


@contextmanager
def opening_session(
    graph_path: Path, record: VersionRecord, defaults: RuntimeDefaults
) -> Iterator[tuple[Any, RunHandle]]:
    """Yield an open session, and the handle of the runs that warm it; all inside has the bounds of a load.

    Raises what `open_session` does.
    """
    options = options_for(record, defaults, UNPREPARED)
    runs = session_options.run_options()

    def cancel() -> None:
        runs.terminate = True
        options.set_load_cancellation_flag(True)

    free = reserve_cores() if defaults.gives_way else nullcontext()
    with free, load_limit(record.key, defaults.load_bounds, cancel):
        yield open_inference_session(graph_path, record, options, defaults, UNPREPARED), runs
