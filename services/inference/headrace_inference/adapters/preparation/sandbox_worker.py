"""The preparing process: `python -m headrace_inference.adapters.preparation.sandbox_worker`.

It ends as soon as its input does, whatever it is doing; the kernel ends it first when memory runs out; and
whatever else wants its cores gets them.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from pathlib import Path

from headrace.service.child_tasks.worker import Progress, serve_tasks
from headrace.service.confinement import refuse_new_privileges
from headrace.state.codec import decode, encode
from headrace_inference.adapters.allocator import return_freed_memory
from headrace_inference.adapters.preparation.task import PrepareTask
from headrace_inference.adapters.preparation.trial_load import execute_task
from headrace_inference.adapters.runtime.background_priority import NICENESS
from headrace_inference.adapters.runtime.version_files import files_unusable, no_memory

_OOM_SCORE = Path("/proc/self/oom_score_adj")
_FIRST_TO_GO = "1000"


def main() -> int:
    """Prepare version after version until there are no more, or nobody listens any more."""
    give_way()
    refuse_new_privileges()
    with suppress(BrokenPipeError):  # the replica was killed
        serve_tasks(_execute)
    return 0


def _execute(line: bytes, _: Progress) -> bytes:
    """Raises HeadraceError."""
    task = decode(PrepareTask, line)
    try:
        return encode(execute_task(task))
    except MemoryError as error:
        raise no_memory(task.record, error) from error
    except OSError as error:
        raise files_unusable(task.record, error) from error
    finally:
        gc.collect()
        return_freed_memory()


def give_way() -> None:
    """Let all others have the cores first, and the memory."""
    os.nice(NICENESS)
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid either
            _OOM_SCORE.write_text(_FIRST_TO_GO)
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


if __name__ == "__main__":
    sys.exit(main())
