"""Loaded versions with real instance threads, and requests for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from headrace.state.records import VersionRecord
from headrace_inference.domain.scheduling.requests import InferenceRequest
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from tests.unit.inference.doubles import (
    DoublingRunner,
    RecordingSink,
    header,
    served,
)


@contextmanager
def serving(
    record: VersionRecord, *, gated: bool = False
) -> Iterator[tuple[LoadedVersion, DoublingRunner, RecordingSink]]:
    """A loaded version; gated, its runs wait until `runner.gate` is set."""
    runner = DoublingRunner()
    runner.gate = threading.Event() if gated else None
    loaded = served(record, runner)
    try:
        yield loaded, runner, RecordingSink()
    finally:
        if runner.gate:
            runner.gate.set()
        loaded.close()


def request(
    loaded: LoadedVersion,
    sink: RecordingSink,
    name: object,
    value: float = 1.0,
    rows: int = 1,
    deadline_ns: int | None = None,
) -> InferenceRequest:
    """A request whose rows are all `value`."""
    plan = loaded.plan_request([header(rows)], [])
    contents = np.full((rows, 2), value, dtype=np.float32).tobytes()
    now = loaded.clock.monotonic_ns()
    return InferenceRequest(
        plan, [contents], "stable", now, deadline_ns, loaded.statistics, sink, name
    )


def occupy(loaded: LoadedVersion, runner: DoublingRunner, sink: RecordingSink) -> None:
    """Keep the one instance busy behind its gate."""
    loaded.scheduler.enqueue([request(loaded, sink, "first")])
    assert runner.entered.acquire(timeout=10)


def wait_until_idle(loaded: LoadedVersion) -> None:
    """Return when nothing waits or runs."""
    while loaded.scheduler.in_flight:
        time.sleep(0.001)
