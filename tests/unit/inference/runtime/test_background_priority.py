"""Which threads give way while a version is opened."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace.state.records import Provider, ServingConfig, SessionOptions
from headrace_inference.adapters.runtime.background_priority import (
    NICENESS,
    most_of,
    reserve_cores,
)
from headrace_inference.adapters.runtime.cores import usable_cores
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.onnx_runtime import OnnxRunner
from tests.unit.inference.runtime.models import identity, opened

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have no priorities here")


def threads() -> set[int]:
    """The ids of this process's threads."""
    return {int(path.name) for path in Path("/proc/self/task").iterdir()}


def niceness(thread: int = 0) -> int:
    """How far a thread, or this one, gives way."""
    return os.getpriority(os.PRIO_PROCESS, thread or threading.get_native_id())


@pytest.mark.parametrize(("gives_way", "expected"), [(True, NICENESS), (False, 0)])
def test_the_opening_thread_gives_way_and_those_that_will_serve_do_not(
    tmp_path: Path, gives_way: bool, expected: int
) -> None:
    """The session's own threads keep their priority for the requests to come."""
    path = identity(tmp_path, Datatype.FP32)
    config = ServingConfig(provider=Provider.CPU, session=SessionOptions(intra_op_threads=3))
    own = niceness()

    def open_it() -> tuple[OnnxRunner, int]:
        return opened(path, config, RuntimeDefaults(gives_way=gives_way)), niceness()

    with ThreadPoolExecutor(1) as loading:
        loading.submit(niceness).result()
        before = threads()
        runner, opener = loading.submit(open_it).result()
        started = threads() - before

    assert (min(19, own + expected), own) == (opener, niceness())
    assert [own, own] == [niceness(thread) for thread in started]
    assert [os.sched_getaffinity(0)] * 2 == [os.sched_getaffinity(thread) for thread in started]
    assert (1, 2) == runner.run([np.ones((1, 2), np.float32)])[0].shape


@pytest.mark.parametrize(
    ("cores", "expected"), [(set(), 0), ({3}, 0), ({1, 3}, 1), (set(range(16)), 12)]
)
def test_a_quarter_of_the_cores_is_left_free(cores: set[int], expected: int) -> None:
    """One at least; and a load keeps to none where there is one core only, or nobody knows of any."""
    some = most_of(cores)
    assert expected == len(some)
    assert some <= cores


@pytest.mark.skipif(usable_cores() < 2, reason="one core")
def test_only_threads_that_are_started_inside_leave_cores_free_and_only_until_it_ends() -> None:
    """What serves meanwhile keeps every core, and what was started to serve gets them all."""
    everything = os.sched_getaffinity(0)
    seen: dict[str, set[int]] = {}
    ended = threading.Event()
    started = threading.Event()

    def session_thread() -> None:
        seen["inside"] = os.sched_getaffinity(0)
        started.set()
        assert ended.wait(10)
        seen["afterwards"] = os.sched_getaffinity(0)

    with ThreadPoolExecutor(1) as serving:
        serving.submit(niceness).result()
        with reserve_cores():
            thread = threading.Thread(target=session_thread)
            thread.start()
            assert started.wait(10)
            seen["serving"] = serving.submit(os.sched_getaffinity, 0).result()
        ended.set()
        thread.join()

    assert (most_of(everything), everything) == (seen["inside"], seen["afterwards"])
    assert (everything, everything) == (seen["serving"], os.sched_getaffinity(0))
