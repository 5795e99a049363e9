"""The side that executes tasks: lines on standard input, answered on what was standard output.

What libraries print goes to standard error.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import BinaryIO, NoReturn

import msgspec

from headrace import errors
from headrace.service.child_tasks.messages import (
    READY,
    ChildMessage,
    child_error,
    encode_message,
)

Progress = Callable[[str], None]
Execute = Callable[[bytes, Progress], bytes]
"""From a task's line to its result, as JSON; it may say in between how far it is. Raises HeadraceError."""


def run_task(execute: Execute) -> None:
    """Execute one task, in this thread, which stays the only one: the work may fork."""
    answers = _own_output()
    _answer(answers, execute, sys.stdin.buffer.readline())


def serve_tasks(execute: Execute) -> NoReturn:
    """Execute task after task. Ends with standard input, whatever it is doing. Raises BrokenPipeError."""
    answers = _own_output()
    answers.write(encode_message(READY))
    tasks = _lines(sys.stdin.buffer)
    while True:
        _answer(answers, execute, tasks.get())


def _answer(answers: BinaryIO, execute: Execute, task: bytes) -> None:
    try:
        message = ChildMessage(result=msgspec.Raw(execute(task, partial(_tell, answers))))
    except errors.HeadraceError as error:
        message = ChildMessage(error=child_error(error))
    _write(answers, message)


def _tell(answers: BinaryIO, progress: str) -> None:
    _write(answers, ChildMessage(progress=progress))


def _write(answers: BinaryIO, message: ChildMessage) -> None:
    line = memoryview(encode_message(message))
    while line:  # a pipe takes a part of what is long
        line = line[answers.write(line) :]


def _own_output() -> BinaryIO:
    """The answers' way out; standard output becomes standard error."""
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
