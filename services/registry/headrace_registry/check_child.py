"""The process that unpacks and checks one artifact: `python -m headrace_registry.check_child`.

It limits itself before it touches the artifact, and answers with one line of JSON. Whatever else becomes
of it (killed, crashed, out of memory), the registry goes on and refuses the artifact.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headrace.model_files.custom_operators import find_libraries
from headrace.service.child_tasks.worker import Progress, run_task
from headrace.service.confinement import confine
from headrace.state.codec import decode, encode
from headrace.state.declared_shapes import with_declared_shapes
from headrace.state.language_records import VersionKind
from headrace.state.records import Signature
from headrace_registry.adapters.checks.task import (
    OUT_OF_MEMORY,
    CheckReport,
    CheckTask,
    Phase,
)
from headrace_registry.adapters.checks.unpack import unpack
from headrace_registry.domain.decisions.default_config import default_config
from headrace_registry.domain.pushes.artifacts import Checked, RequestedOptions

_BROUGHT_DOWN = "comparing its rows ended the process that did so"
_OWN_SHARE = 0.8
"""Of its time: then the child ends what it does by itself, and still reports."""


def main() -> int:
    """Do the task and report; the exit status. Raises BrokenPipeError where nobody listens any more."""
    try:
        run_task(_execute)
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


def _execute(line: bytes, progress: Progress) -> bytes:
    """Raises HeadraceError for what is refused."""
    task = decode(CheckTask, line)
    _limit(task)
    _confine(task)
    deadline = time.monotonic() + _OWN_SHARE * task.seconds
    return encode(_check(task, deadline, progress))


def _check(task: CheckTask, deadline: float, progress: Progress) -> CheckReport:
    folder = Path(task.folder)
    progress(Phase.UNPACKING.name)
    as_tensors = task.asked.kind is VersionKind.TENSORS
    graph_path = unpack(
        Path(task.file), task.file_format, folder, task.unpack, as_tensors=as_tensors
    )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > task.foreseen_bytes:
        return CheckReport(unforeseen_bytes=size)
    if task.unpack_only:
        return CheckReport()
    progress(Phase.OPENING.name)
    libraries = find_libraries(task.asked.session.custom_operators, _path(task.custom_operators))
    unpacked = Unpacked(folder, graph_path, libraries, deadline)
    return _check_text(task, unpacked, progress) or _check_tensors(task, unpacked, progress)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An artifact's files, the libraries that it may load, and the monotonic time by which checks end."""

    folder: Path
    graph_path: str
    libraries: Sequence[Path]
    deadline: float


def _check_text(task: CheckTask, unpacked: Unpacked, progress: Progress) -> CheckReport | None:
    """Return the findings on a version of text; None for one of tensors."""
    from headrace_registry.adapters.checks.language.candidate import Candidate, CheckBounds
    from headrace_registry.adapters.checks.language.recognition import recognise

    bounds = CheckBounds(unpacked.deadline, task.memory_bytes)
    where = (unpacked.folder, unpacked.graph_path)
    candidate = Candidate(*where, task.asked, unpacked.libraries, bounds)
    check = recognise(candidate)
    if check is None:
        return None
    progress(Phase.READING.name)
    found = check(candidate)
    return CheckReport(
        Checked(
            unpacked.graph_path,
            found.signature,
            notices=found.notices,
            language=found.facts,
            proposed=found.proposed,
        )
    )


def _check_tensors(task: CheckTask, unpacked: Unpacked, progress: Progress) -> CheckReport:
    from headrace.model_files.warm_up_samples import (
        check_samples,  # under the limits, like the rest
    )
    from headrace_registry.adapters.batch_invariance.isolation import analyse_apart
    from headrace_registry.adapters.checks.graph_check import check_graph
    from headrace_registry.adapters.checks.trial_run import Opened, TrialBounds, Tried, try_run

    def run(opened: Opened, *, batches: bool) -> Tried:
        shown = with_declared_shapes(opened.signature, asked.shapes, batches=batches)
        progress(Phase.RUNNING.name)
        bounds = TrialBounds(task.trial_seconds, unpacked.deadline)
        shown_as = replace(opened, signature=shown)
        return try_run(shown_as, asked.warm_up, folder, bounds, batches=batches)

    def run_first(opened: Opened) -> Tried:
        samples, batches = asked.warm_up.samples, bool(asked.max_batch_size)
        tried = Tried() if samples else run(opened, batches=batches)
        progress(Phase.COMPARING.name)
        return tried if task.compares_rows else replace(tried, obstacle=_BROUGHT_DOWN)

    asked, folder, graph_path = task.asked, unpacked.folder, unpacked.graph_path
    graph = check_graph(
        folder,
        graph_path,
        asked.session,
        unpacked.libraries,
        prove=analyse_apart,
        trial_load=run_first,
    )
    notices = (*graph.changes, *graph.notices, *_overlooked(asked, graph.signature))
    checked = Checked(graph_path, graph.signature, graph.invariance, notices)
    if samples := asked.warm_up.samples:
        batches = _batches(asked, checked)
        signature = with_declared_shapes(checked.signature, asked.shapes, batches=batches)
        check_samples(samples, signature, folder, batches=batches)
        tried = run(graph.opened, batches=batches)
        checked = replace(checked, notices=(*checked.notices, *tried.notices))
    return CheckReport(checked, rewritten=bool(graph.changes))


def _overlooked(asked: RequestedOptions, signature: Signature) -> tuple[str, ...]:
    """Say of a decoder that it takes tensors, where nobody said that it should."""
    inputs = {spec.name for spec in signature.inputs}
    is_decoder = "input_ids" in inputs and any(name.startswith("past_key") for name in inputs)
    if asked.kind is not None or not is_decoder:
        return ()
    return ("takes tensors: its graph is a decoder's, and no tokenizer.json lies beside it",)


def _batches(asked: RequestedOptions, checked: Checked) -> bool:
    """Return whether the version is going to batch: as asked, or else as proposed."""
    if asked.max_batch_size is not None:
        return asked.max_batch_size > 0 and not checked.invariance.impossible
    proposed = default_config(checked.signature, checked.invariance)
    return proposed.batching.max_batch_size > 0


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


_SIGNALLED_SECONDS = 5
"""How long a process that was told of its time may take to end."""


def _limit(task: CheckTask) -> None:
    limits = [
        (resource.RLIMIT_CPU, int(task.seconds) + 1),
        (resource.RLIMIT_FSIZE, task.unpack.total_bytes),
        (resource.RLIMIT_CORE, 0),
    ]
    if sys.platform == "linux":  # macOS has the constant and refuses to set it
        limits.append((resource.RLIMIT_AS, task.address_bytes))
    for what, most in limits:
        _, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # At the hard limit of time the kernel kills, as it does for want of memory; before it, it says why.
        last = limit + (_SIGNALLED_SECONDS if what == resource.RLIMIT_CPU else 0)
        resource.setrlimit(
            what, (limit, last if hard == resource.RLIM_INFINITY else min(last, hard))
        )


def _confine(task: CheckTask) -> None:
    """Leave it the artifact alone; libraries of custom operators, which are trusted, may read more."""
    staging = Path(task.folder).parent
    os.environ["TMPDIR"] = str(staging)
    confine([Path("/")] if task.asked.session.custom_operators else [], [staging])


if __name__ == "__main__":
    status = main()
    os._exit(status)  # taking a large graph apart takes time, and nobody needs it
