"""Tasks in processes of their own: results, progress, errors, bounds, cancelling."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from headrace.errors import FailedPrecondition, InvalidArgument, Unavailable
from headrace.service.child_tasks.messages import ChildMessage, child_error, error_from_child
from headrace.service.child_tasks.process import (
    BoundsWatch,
    ChildEndedError,
    ChildOverMemoryError,
    ChildOverTimeError,
    ChildProcess,
)

COMMAND = [sys.executable, "-m", "tests.unit.headrace.service.child_worker"]


class Ending:
    """So that `closing` ends a process."""

    def __init__(self, child: ChildProcess) -> None:
        self.child = child

    def close(self) -> None:
        """End it."""
        self.child.end()


@contextmanager
def child(*arguments: str) -> Iterator[ChildProcess]:
    """A process that waits for its task."""
    with closing(
        Ending(ChildProcess([*COMMAND, *arguments], os.environ, keeps_errors=True))
    ) as one:
        yield one.child


def bounds(one: ChildProcess, seconds: float = 30.0, memory_bytes: int = 0) -> BoundsWatch:
    """Bounds that most tests do not meet."""
    return BoundsWatch(one.pid, seconds, memory_bytes)


def result_of(message: ChildMessage) -> bytes:
    """The result's JSON."""
    return bytes(message.result)


def test_a_task_tells_how_far_it_is() -> None:
    """Progress comes in order, and the result after it."""
    seen: list[str] = []
    with child() as one:
        message = one.execute(b"count", bounds(one), seen.append)
    assert (["one", "two", "three"], b"3") == (seen, result_of(message))


def test_who_does_not_read_a_task_is_over_time() -> None:
    """A task larger than a pipe holds is bounded in time while it is given, too."""
    sleeper = ChildProcess([sys.executable, "-c", "import time; time.sleep(60)"], os.environ)
    with closing(Ending(sleeper)), pytest.raises(ChildOverTimeError):
        sleeper.execute(b"x" * (1 << 20), bounds(sleeper, seconds=0.2))


def test_a_task_of_megabytes_arrives_whole() -> None:
    """Also one that a pipe does not hold at once."""
    reader = "import sys; sys.stdin.readline(); print('{\"result\": 7}', flush=True)"
    one = ChildProcess([sys.executable, "-c", reader], os.environ)
    with closing(Ending(one)):
        assert b"7" == result_of(one.execute(b"x" * (4 << 20), bounds(one)))


def test_a_process_serves_task_after_task() -> None:
    """Among them one that fails, one that prints, and one with a result of megabytes."""
    with child("many") as one:
        one.wait_until_ready(bounds(one))
        refused = one.execute(b"refuse", bounds(one)).error
        printed = result_of(one.execute(b"speak", bounds(one)))
        long = result_of(one.execute(b"long", bounds(one)))
    assert refused is not None
    assert ("NOT_TODAY", b'"printed"', 4 << 20) == (refused.reason, printed, len(long) - 2)


def test_a_process_that_crashes() -> None:
    """Its status and last words are told."""
    with child() as one, pytest.raises(ChildEndedError) as caught:
        one.execute(b"crash", bounds(one))
    assert (7, b"the last words") == (caught.value.status, caught.value.said)


@pytest.mark.parametrize("task", [b"sleep", b"chatter"])
def test_a_task_over_its_time(task: bytes) -> None:
    """One that says something all the time is not waited for any longer."""
    with child() as one, pytest.raises(ChildOverTimeError):
        one.execute(task, bounds(one, seconds=0.5))


def test_a_task_over_its_memory() -> None:
    """It is given up while it grows."""
    with child() as one, pytest.raises(ChildOverMemoryError):
        one.execute(b"grow", bounds(one, memory_bytes=120 << 20))


def test_a_process_that_talks_for_ever() -> None:
    """What is no message, and has no end, ends it."""
    with child() as one, pytest.raises(ChildEndedError) as caught:
        one.execute(b"talk", bounds(one))
    assert -signal.SIGKILL == caught.value.status


def test_a_task_is_cancelled_by_killing() -> None:
    """Whoever waits is told, from whichever thread it was killed."""
    with child() as one:
        timer = threading.Timer(0.2, one.kill)
        timer.start()
        with pytest.raises(ChildEndedError) as caught:
            one.execute(b"sleep", bounds(one))
        timer.join()
        assert not one.is_alive()
    assert -signal.SIGKILL == caught.value.status


def test_errors_travel() -> None:
    """With class, reason, message, facts and delay; a class that is not allowed becomes another."""
    sent = Unavailable("BUSY", "not now", facts={"a": "b"}, retry_after_seconds=2.0)
    same = error_from_child(child_error(sent), [Unavailable], InvalidArgument)
    other = error_from_child(child_error(sent), [FailedPrecondition], InvalidArgument)
    assert (Unavailable, InvalidArgument) == (type(same), type(other))
    assert ("BUSY", "not now", {"a": "b"}, 2.0) == (
        same.reason,
        same.message,
        same.facts,
        same.retry_after_seconds,
    )
