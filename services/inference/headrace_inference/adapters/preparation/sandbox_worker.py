"""The preparing process: `python -m headrace_inference.adapters.preparation.sandbox_worker`.

It reads tasks from standard input, a line each, and answers each with a line on what was its standard
output. It ends as soon as its input does, whatever it is doing; the kernel ends it first when memory runs
out; and whatever else wants its cores gets them.
"""

from __future__ import annotations

import gc
import os
import queue
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NoReturn

from headrace.state.codec import decode, encode
from headrace_inference.adapters.allocator import return_freed_memory
from headrace_inference.adapters.preparation.task import PrepareReport, PrepareTask, failure_of
from headrace_inference.adapters.preparation.trial_load import execute_task
from headrace_inference.adapters.runtime.background_priority import NICENESS
from headrace_inference.adapters.runtime.onnx_runtime import files_unusable, no_memory

READY = b"ready\n"
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_FIRST_TO_GO = "1000"


def main() -> int:
    """Prepare version after version until there are no more, or nobody listens any more."""
    give_way()
    with suppress(BrokenPipeError):  # the replica was killed
        _answer(_own_output())
    return 0


def _answer(answers: BinaryIO) -> NoReturn:
    """Answer tasks. Raises BrokenPipeError."""
    answers.write(READY)
    tasks = _lines(sys.stdin.buffer)
    while True:
        task = decode(PrepareTask, tasks.get())
        try:
            report = execute_task(task)
        except MemoryError as error:
            report = PrepareReport(failure_of(no_memory(task.record, error)))
        except OSError as error:
            report = PrepareReport(failure_of(files_unusable(task.record, error)))
        gc.collect()
        return_freed_memory()
        answers.write(encode(report) + b"\n")


def give_way() -> None:
    """Let all others have the cores first, and the memory."""
    os.nice(NICENESS)
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid either
            _OOM_SCORE.write_text(_FIRST_TO_GO)
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _own_output() -> BinaryIO:
    """The answers' way out; what libraries print goes to standard error."""
    kept = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(kept, "wb", buffering=0)


def _lines(source: BinaryIO) -> queue.SimpleQueue[bytes]:
    """The lines of a stream, whose end is the end of this process."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in source:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, name="tasks", daemon=True).start()
    return lines


if __name__ == "__main__":
    sys.exit(main())
