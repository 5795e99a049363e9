"""Opens versions of text by their kind, and tries them in the preparing process."""

from __future__ import annotations

import weakref
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.service.child_tasks.messages import child_error
from headrace.state.language_records import VersionKind
from headrace.state.records import VersionRecord
from headrace_inference.adapters.preparation.task import PrepareReport, PrepareTask
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.memory_book import MemoryBook
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.scheduling.runner import Runner


def open_text_version(
    graph_path: Path,
    record: VersionRecord,
    defaults: RuntimeDefaults,
    memory: MemoryBook | None = None,
) -> Runner:
    """Open and try a version of text; the caller closes it. Blocks. Raises HeadraceError.

    Its libraries are loaded here: a replica of tensors needs none of them.
    """
    if record.kind is VersionKind.GENERATION:
        from headrace_inference.adapters.generation.open_generative import open_generative

        return open_generative(graph_path, record, defaults, SYSTEM_CLOCK, memory)
    from headrace_inference.adapters.encoding.open_encoder import open_encoder

    if memory is None:
        return open_encoder(graph_path, record, defaults, SYSTEM_CLOCK)
    with memory.promising(record.key, record.size_bytes, kv_bytes=0) as number:
        encoder = open_encoder(graph_path, record, defaults, SYSTEM_CLOCK)
    memory.correct(number, encoder.memory_bytes)
    weakref.finalize(encoder, memory.give_back, number)
    return encoder


def try_text_version(task: PrepareTask, defaults: RuntimeDefaults) -> PrepareReport:
    """Open it, generate or encode a little, and close it: what kills a process kills this one."""
    try:
        runner = open_text_version(Path(task.graph), task.record, defaults)
    except HeadraceError as error:
        return PrepareReport(child_error(error))
    runner.close()
    return PrepareReport()
