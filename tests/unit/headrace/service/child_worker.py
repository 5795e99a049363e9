"""A process for the tests of child tasks: it does what its task names."""

from __future__ import annotations

import os
import sys
import time

from headrace.errors import FailedPrecondition
from headrace.service.child_tasks.worker import Progress, run_task, serve_tasks


def count(progress: Progress) -> bytes:
    """Say how far it is."""
    for step in ("one", "two", "three"):
        progress(step)
    return b"3"


def speak(_: Progress) -> bytes:
    """Print as libraries do."""
    print("a library greets", flush=True)
    return b'"printed"'


def refuse(_: Progress) -> bytes:
    """Raise an error that callers are told."""
    raise FailedPrecondition("NOT_TODAY", "it is Sunday", facts={"day": "Sunday"})


def crash(_: Progress) -> bytes:
    """End as a library may."""
    os.write(2, b"the last words")
    os._exit(7)


def talk(_: Progress) -> bytes:
    """Write for ever where answers go."""
    while True:
        os.write(3, b"x" * 65536)


def chatter(progress: Progress) -> bytes:
    """Say for ever how far it is."""
    while True:
        progress("and on")


def grow(_: Progress) -> bytes:
    """Take more and more memory."""
    held = []
    while True:
        held.append(bytearray(b"x") * (8 << 20))
        time.sleep(0.01)


def long(_: Progress) -> bytes:
    """Answer with megabytes."""
    return b'"' + b"x" * (4 << 20) + b'"'


def sleep(_: Progress) -> bytes:
    """Take longer than any test waits."""
    time.sleep(60)
    return b"null"


WORK = {
    work.__name__: work for work in (count, speak, refuse, crash, talk, chatter, grow, long, sleep)
}


def execute(task: bytes, progress: Progress) -> bytes:
    """Do what the task names."""
    return WORK[task.strip().decode()](progress)


if __name__ == "__main__":
    if sys.argv[1:] == ["many"]:
        serve_tasks(execute)
    run_task(execute)
