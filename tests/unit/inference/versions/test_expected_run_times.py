"""What a version is taken to need for a run, where its runs wait for a core or the interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from headrace_inference.domain.scheduling.inline_policy import INLINE_POLICY
from headrace_inference.domain.scheduling.requests import Array, InferenceRequest
from headrace_inference.domain.scheduling.watchdog import RunHandle
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import VersionCounters
from tests.unit.inference.doubles import (
    DoublingRunner,
    FakeClock,
    RecordingSink,
    header,
    version,
)

WAITED_NS, OWN_NS = 5_000_000, 20_000
RUNS = 40


class SharedCoreClock(FakeClock):
    """A clock of a thread that has a core for a part of the time only."""

    used_ns = 0

    def thread_ns(self) -> int:
        """Return what the thread had of it."""
        return self.used_ns


class CrowdedRunner(DoublingRunner):
    """Takes 20 µs of a core for a run, and waits 5 ms until others let it go on."""

    def __init__(self, provider: str, clock: SharedCoreClock) -> None:
        super().__init__()
        self.provider = provider
        self._clock = clock

    def run(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        self._clock.now_ns += WAITED_NS + OWN_NS
        self._clock.used_ns += OWN_NS
        return super().run(inputs, handle)


@pytest.mark.parametrize(
    ("provider", "threads", "runs_inline"),
    [("cpu", 1, True), ("cpu", 2, False), ("cuda", 1, False)],
)
def test_waiting_for_the_interpreter_does_not_make_a_run_long(
    provider: str, threads: int, runs_inline: bool
) -> None:
    """Queued runs are judged by their own time; the work of devices and other threads is not in that."""
    clock, sink = SharedCoreClock(), RecordingSink()
    record = version()
    session = replace(record.config.session, intra_op_threads=threads)
    record = replace(record, config=replace(record.config, session=session))
    served = LoadedVersion(
        record, CrowdedRunner(provider, clock), VersionCounters(), clock, alone_first=0
    )
    plan = served.plan_request([header()], ())

    def request(reply: int) -> InferenceRequest:
        values = [np.ones((1, 2), np.float32)]
        return InferenceRequest(
            plan, values, "stable", clock.now_ns, None, served.statistics, sink, reply
        )

    for number in range(RUNS):
        served.scheduler.enqueue([request(number)])
        sink.wait(1)
    served.close()  # once the last run is counted, too
    expected_ns = served._executor.expected_ns
    assert runs_inline == (expected_ns <= INLINE_POLICY.max_run_ns)
