"""How long batches wait by an objective: arrivals and runs in made-up time, against none."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from headrace_inference.domain.scheduling.batch_window import BatchWindow
from headrace_inference.domain.scheduling.batching import share
from headrace_inference.domain.scheduling.run_times import RunTimes

MS = 1_000_000
SECONDS = 10
MAX_ROWS = 64


@dataclass
class Serving:
    """A model whose runs take so long, with so many instances, and with an objective or none."""

    run_ms: float
    row_ms: float
    instances: int
    objective_ms: int | None
    waits_ms: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    _random: random.Random = field(default_factory=lambda: random.Random(0))
    _events: list[tuple[int, int, str, object]] = field(default_factory=list)
    _waiting: list[int] = field(default_factory=list)
    _callers: int = 0

    def __post_init__(self) -> None:
        run_seconds = (self.run_ms + self.row_ms * MAX_ROWS) / 1000
        self.capacity = self.instances * MAX_ROWS / run_seconds
        self._free = self.instances
        self._runs = RunTimes()
        self._window = None
        if self.objective_ms is not None:
            self._window = BatchWindow(self.objective_ms * MS, MAX_ROWS, self._runs)

    def at(self, load: float) -> Serving:
        """What becomes of requests that come at random, at this part of the capacity."""
        now = 0.0
        while (now := now + self._random.expovariate(self.capacity * load)) < SECONDS:
            self._add(int(now * 1e9), "arrives")
        return self._play()

    def by(self, callers: int) -> Serving:
        """What becomes of requests of callers who ask again when they were answered."""
        self._callers = callers
        for place in range(callers):
            self._add(place * 1000, "arrives")
        return self._play()

    @property
    def p99_ms(self) -> float:
        """The 99th percentile from reception to answer, but for the first fifth."""
        return float(np.percentile(self.waits_ms[len(self.waits_ms) // 5 :], 99))

    def _add(self, at: int, kind: str, what: object = None) -> None:
        heapq.heappush(
            self._events, (at, len(self._events) + self._random.getrandbits(40), kind, what)
        )

    def _play(self) -> Serving:
        while self._events and self._events[0][0] < SECONDS * 1e9:
            now, _, kind, what = heapq.heappop(self._events)
            if kind == "arrives":
                self._waiting.append(now)
            elif kind == "ends":
                self._end(now, what)  # type: ignore[arg-type]  # as _begin says
            while self._free and self._waiting and not self._waits(now):
                self._begin(now)
        return self

    def _waits(self, now: int) -> bool:
        if self._window is None:
            return False
        waiting = self._waiting
        until = self._window.wait_until_ns(len(waiting), waiting[0], waiting[-1], None, now)
        if until is not None:
            self._add(max(until, now + 1), "looks")
        return until is not None

    def _begin(self, now: int) -> None:
        most = share(len(self._waiting), self._free, MAX_ROWS)
        batch, self._waiting[:most] = self._waiting[:most], []
        noise = max(0.3, self._random.gauss(1, 0.1))
        took = int((self.run_ms + self.row_ms * len(batch)) * MS * noise)
        self._free -= 1
        self._add(now + took, "ends", (batch, took))

    def _end(self, now: int, run: tuple[list[int], int]) -> None:
        batch, took = run
        self._free += 1
        self._runs.add(len(batch), took)
        if self._window is not None:
            self._window.record_batch(batch[0], now)
        self.rows.append(len(batch))
        for received in batch:
            self.waits_ms.append((now - received) / MS)
            if self._callers:
                self._add(now + int(self._random.expovariate(1) * 0.2 * MS), "arrives")


@pytest.mark.parametrize("instances", [1, 2])
@pytest.mark.parametrize(("objective_ms", "load"), [(120, 0.1), (120, 0.3), (300, 0.3), (300, 0.7)])
def test_batches_grow_and_the_p99_stays_under_the_objective(
    instances: int, objective_ms: int, load: float
) -> None:
    """Runs are fewer and larger than of who takes what there is, within the time that there is."""
    usual = Serving(20, 1, instances, None).at(load)
    served = Serving(20, 1, instances, objective_ms).at(load)
    assert served.p99_ms <= objective_ms
    assert np.mean(served.rows) > 1.5 * np.mean(usual.rows)
    assert len(served.waits_ms) >= 0.98 * len(usual.waits_ms)


@pytest.mark.parametrize("callers", [1, 8, 64])
@pytest.mark.parametrize("objective_ms", [60, 300])
def test_callers_who_wait_for_their_answers_are_not_waited_for(
    callers: int, objective_ms: int
) -> None:
    """Nobody else comes while all of them wait: they get as many answers as without an objective."""
    usual = Serving(20, 1, 1, None).by(callers)
    served = Serving(20, 1, 1, objective_ms).by(callers)
    assert len(served.waits_ms) >= 0.95 * len(usual.waits_ms)


@pytest.mark.parametrize("load", [0.3, 0.9])
def test_an_objective_that_nobody_could_meet_does_no_harm(load: float) -> None:
    """Where runs alone take longer, it is as if there was none."""
    usual = Serving(50, 2, 1, None).at(load)
    served = Serving(50, 2, 1, 60).at(load)
    assert served.p99_ms <= 1.1 * usual.p99_ms


def test_a_model_whose_rows_gain_nothing_together_does_not_wait() -> None:
    """Once runs of several sizes have shown it."""
    runs = RunTimes()
    for rows in (1, 2, 4) * 10:
        runs.add(rows, rows * 20 * MS)
    assert BatchWindow(300 * MS, 64, runs).wait_until_ns(1, 0, 0, None, 0) is None


def test_a_batch_waits_no_longer_than_the_first_deadline_of_its_requests_allows() -> None:
    """It begins early enough for its run to end in time."""
    runs = RunTimes()
    for rows in (1, 64) * 10:
        runs.add(rows, 20 * MS)
    window = BatchWindow(300 * MS, 64, runs)
    assert pytest.approx(80 * MS) == window.wait_until_ns(2, 0, 0, 100 * MS, 0)


def test_a_batch_whose_requests_left_is_forgotten() -> None:
    """The next one learns from its own."""
    runs = RunTimes()
    for rows in (1, 64) * 10:
        runs.add(rows, 20 * MS)
    window = BatchWindow(300 * MS, 64, runs)
    first = window.wait_until_ns(2, 0, 0, None, 0)
    window.give_up()
    assert first is not None
    assert first + 1000 * MS == window.wait_until_ns(1, 1000 * MS, 1000 * MS, None, 1000 * MS)
