"""Requests of the background: behind all others, refused first, and not for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.errors import InvalidArgument
from headrace.state.records import Batching, Priorities, QueuePolicy, ServingConfig
from headrace_inference.domain.scheduling.background_queue import PATIENCE_NS, BackgroundQueue
from headrace_inference.domain.scheduling.queues import FifoQueue, open_queue
from headrace_inference.domain.scheduling.requests import BACKGROUND, InferenceRequest, Options
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.wire.rest.requests import request_options
from tests.unit.inference.doubles import FakeClock, RecordingSink, header, version
from tests.unit.inference.scheduling.pools import occupy, serving
from tests.unit.inference.scheduling.pools import request as ordinary
from tests.unit.inference.scheduling.test_queues import drained, request

POLICY = QueuePolicy(max_requests=3)


def queue(clock: FakeClock, config: ServingConfig | None = None) -> BackgroundQueue:
    live = FifoQueue(POLICY) if config is None else open_queue(config, clock)
    return BackgroundQueue(live, POLICY, clock)


def background(name: str, received_ns: int = 0) -> InferenceRequest:
    return request(name, BACKGROUND, received_ns)


def test_others_go_first_whenever_they_come() -> None:
    """Those of all levels do; the background keeps its own order."""
    levels = ServingConfig(priorities=Priorities(levels=2, default_level=2))
    waiting = queue(FakeClock(), levels)
    waiting.put([background("x"), request("b", 2), background("y")])
    waiting.put([request("a", 1)])
    assert (4, "abxy") == (len(waiting), drained(waiting))


def test_background_has_no_room_that_others_need() -> None:
    """A full queue refuses it, and one that is full of it refuses no others."""
    waiting = queue(FakeClock())
    taken, over = waiting.put([*map(background, "wxyz"), request("a")])
    assert [["a", "w", "x"], ["y", "z"]] == [[one.reply for one in some] for some in (taken, over)]
    taken, over = waiting.put([request("b"), request("c"), request("d")])
    assert [["b", "c"], ["d"]] == [[one.reply for one in some] for some in (taken, over)]
    assert "abcwx" == drained(waiting)


def test_others_wait_for_none_of_its_rows() -> None:
    """What is said of the wait counts those that go before."""
    waiting = queue(FakeClock())
    waiting.put([background("x"), background("y"), request("a")])
    assert 1 == waiting.rows_ahead(request("b").plan, 3)
    assert 3 == waiting.rows_ahead(background("z").plan, 3)


def test_one_goes_ahead_each_second_where_others_always_wait() -> None:
    """So it is never put off for ever."""
    clock = FakeClock()
    waiting = queue(clock)
    waiting.put([background("x"), background("y")])
    waiting.put([request("a"), request("b"), request("c")])
    assert "a" == waiting.popleft().reply
    clock.now_ns += PATIENCE_NS + 1
    assert "x" == waiting[0].reply
    assert "x" == waiting.popleft().reply
    assert "b" == waiting.popleft().reply
    clock.now_ns += PATIENCE_NS + 1
    assert "yc" == drained(waiting)


def test_what_is_not_wanted_is_taken_out_of_both() -> None:
    """The oldest counts wherever it waits."""
    waiting = queue(FakeClock())
    first, second = background("x", received_ns=5), request("a", received_ns=9)
    waiting.put([first, second])
    assert (5, [second, first]) == (waiting.oldest_ns(), list(waiting.all()))
    assert [second, first] == list(waiting.take_out({first, second}))
    assert 0 == len(waiting)


def test_live_requests_run_before_a_batch_that_came_first() -> None:
    """They share no run with it, and its requests are counted as all are."""
    record = version(batching=Batching(max_batch_size=8))
    with serving(record, gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        loaded.scheduler.enqueue([asking(loaded, sink, f"batch {each}") for each in range(3)])
        loaded.scheduler.enqueue([ordinary(loaded, sink, f"live {each}") for each in range(2)])
        assert runner.gate is not None
        runner.gate.set()
        sink.wait(6)
    assert [1, 2, 3] == runner.batches
    assert 6 == loaded.statistics.totals().successes


def test_a_limit_of_requests_in_flight_keeps_half_for_others() -> None:
    """The background is refused before it takes more, others are not for what waits of it."""
    plain = version()
    record = replace(plain, config=replace(plain.config, max_in_flight_requests=4))
    with serving(record, gated=True) as (loaded, runner, sink):
        occupy(loaded, runner, sink)
        loaded.scheduler.enqueue([asking(loaded, sink, f"batch {each}") for each in range(3)])
        loaded.scheduler.enqueue([ordinary(loaded, sink, f"live {each}") for each in range(4)])
        sink.wait(3)
        assert {"batch 1", "batch 2", "live 3"} == set(sink.errors)


def test_the_thread_that_receives_runs_none_of_it() -> None:
    """Others are received meanwhile."""
    with serving(version()) as (loaded, _, sink):
        assert not loaded.try_run_inline([asking(loaded, sink, "batch")], 8)


def asking(loaded: LoadedVersion, sink: RecordingSink, name: str) -> InferenceRequest:
    """A request of the background, as its wire makes it."""
    plan = loaded.plan_request([header(1)], [], Options(priority=BACKGROUND))
    made = ordinary(loaded, sink, name)
    made.plan = plan
    return made


def test_every_wire_has_the_parameter() -> None:
    """Over REST it is a parameter of the request too, whatever its priority says."""
    asked = request_options({"headrace_background": True, "priority": 1}, [])
    assert BACKGROUND == asked.priority
    assert 1 == request_options({"headrace_background": False, "priority": 1}, []).priority
    with pytest.raises(InvalidArgument, match="headrace_background"):
        request_options({"headrace_background": "yes"}, [])
