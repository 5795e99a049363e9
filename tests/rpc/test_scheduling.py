"""Priorities and limits as callers meet them, on ONNX Runtime behind both fronts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace import status
from headrace.errors import HeadraceError
from headrace.state.records import Priorities, QueuePolicy, ServingConfig, WarmUp
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica
from tests.rpc.rest_fixtures import Model
from tests.rpc.test_endless_runs import PATIENCE_SECONDS, TURNS, Begun, counting, turns
from tests.rpc.test_metrics_tell_the_truth import scraped

LABELS = (("model", "counting"), ("version", "1"))


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


def counting_with(**config: Any) -> Model:
    """The counting model with one instance, served so."""
    model = counting()
    served = ServingConfig(warm_up=WarmUp(runs=0), **config)
    return replace(model, record=replace(model.record, config=served))


async def until_waiting(replica: GrpcReplica, count: int) -> None:
    """Wait until so many requests are queued."""
    scheduler = replica.ingress.reconciler.table.find("counting", "").scheduler
    async with asyncio.timeout(PATIENCE_SECONDS):
        while scheduler.waiting < count:  # noqa: ASYNC110  # the threads of the front know no event loop
            await asyncio.sleep(0)


async def test_urgent_requests_are_answered_first(tmp_path: Path, front: str) -> None:
    """The priority parameter of a request that came last puts it in front."""
    begun, order = Begun(), []
    model = counting_with(priorities=Priorities(levels=2, default_level=2))
    async with open_grpc_replica(
        tmp_path, model, front=front, open_model=begun.open_session
    ) as replica:
        running = replica.stub.ModelInfer(turns(TURNS))
        await begun.wait()

        async def ask(name: str, priority: int) -> None:
            message = turns(1)
            message.parameters["priority"].uint64_param = priority
            await replica.stub.ModelInfer(message, timeout=PATIENCE_SECONDS)
            order.append(name)

        async with asyncio.TaskGroup() as tasks:
            for place, (name, priority) in enumerate((("calm", 2), ("urgent", 1)), start=1):
                tasks.create_task(ask(name, priority))
                await until_waiting(replica, place)
            running.cancel()

    assert ["urgent", "calm"] == order


async def test_background_requests_are_answered_last(tmp_path: Path, front: str) -> None:
    """One that came first waits behind one that asks for nothing, where the version has no levels."""
    begun, order = Begun(), []
    async with open_grpc_replica(
        tmp_path, counting_with(), front=front, open_model=begun.open_session
    ) as replica:
        running = replica.stub.ModelInfer(turns(TURNS))
        await begun.wait()

        async def ask(name: str, *, background: bool) -> None:
            message = turns(1)
            message.parameters["headrace_background"].bool_param = background
            await replica.stub.ModelInfer(message, timeout=PATIENCE_SECONDS)
            order.append(name)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ask("batch", background=True))
            await until_waiting(replica, 1)
            tasks.create_task(ask("live", background=False))
            await until_waiting(replica, 2)
            running.cancel()

    assert ["live", "batch"] == order


async def test_a_request_hears_of_its_queue_timeout_while_another_runs(
    tmp_path: Path, front: str
) -> None:
    """Nobody waits for the run in front to learn that it takes too long."""
    begun = Begun()
    model = counting_with(queue=QueuePolicy(allow_timeout_override=True))
    hasty = turns(1)
    hasty.parameters["timeout"].int64_param = 1000
    async with open_grpc_replica(
        tmp_path, model, front=front, open_model=begun.open_session
    ) as replica:
        running = replica.stub.ModelInfer(turns(TURNS))
        await begun.wait()
        call = replica.stub.ModelInfer(hasty, timeout=PATIENCE_SECONDS)
        code, reason, _ = await failure_of(call)
        assert not running.done()
        running.cancel()

    assert ("DEADLINE_EXCEEDED", "QUEUE_TIMEOUT") == (code, reason)


async def test_callers_who_left_make_room_in_a_full_queue(tmp_path: Path, front: str) -> None:
    """A queue of calls that nobody waits for refuses nobody for long."""
    begun = Begun()
    model = counting_with(queue=QueuePolicy(max_requests=2))
    async with open_grpc_replica(
        tmp_path, model, front=front, open_model=begun.open_session
    ) as replica:
        running = replica.stub.ModelInfer(turns(TURNS))
        await begun.wait()
        left = [replica.stub.ModelInfer(turns(1)) for _ in range(2)]
        await until_waiting(replica, 2)
        code, reason, _ = await failure_of(replica.stub.ModelInfer(turns(1)))
        for call in left:
            call.cancel()
        scheduler = replica.ingress.reconciler.table.find("counting", "").scheduler
        async with asyncio.timeout(PATIENCE_SECONDS):
            while scheduler.waiting:  # noqa: ASYNC110  # the threads of the front know no event loop
                await asyncio.sleep(0.001)
        live = replica.stub.ModelInfer(turns(1), timeout=PATIENCE_SECONDS)
        await until_waiting(replica, 1)
        running.cancel()
        answer = await live

    assert ("RESOURCE_EXHAUSTED", "QUEUE_FULL") == (code, reason)
    assert "counting" == answer.model_name


async def test_over_the_limit_in_flight_callers_are_told_at_once(
    tmp_path: Path, front: str
) -> None:
    """One runs, which is all that may, and the next is refused with the limit's name."""
    begun = Begun()
    model = counting_with(max_in_flight_requests=1)
    async with open_grpc_replica(
        tmp_path, model, front=front, open_model=begun.open_session
    ) as replica:
        running = replica.stub.ModelInfer(turns(TURNS))
        await begun.wait()
        code, reason, message = await failure_of(replica.stub.ModelInfer(turns(1)))
        running.cancel()

    assert ("RESOURCE_EXHAUSTED", "MAX_IN_FLIGHT_REACHED") == (code, reason)
    assert "max_in_flight_requests" in message


TURNS_THAT_TAKE_A_WHILE = 200_000
"""Tens of milliseconds, on any machine."""


async def error_of(call: Any) -> HeadraceError:
    """The error that a call ends with."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return status.error_from_rpc(error)
    raise AssertionError("answered")


async def test_a_queue_that_was_measured_refuses_who_would_wait_too_long(
    tmp_path: Path, front: str
) -> None:
    """All of a first burst are answered, then they have told how long the next ones would wait."""
    model = counting_with(queue=QueuePolicy(max_wait_microseconds=1000), instances=1)
    async with open_grpc_replica(tmp_path, model, front=front, open_model=open_session) as replica:
        scheduler = replica.ingress.reconciler.table.find("counting", "").scheduler
        burst = [replica.stub.ModelInfer(turns(TURNS_THAT_TAKE_A_WHILE)) for _ in range(4)]
        await asyncio.gather(*burst)
        running = replica.stub.ModelInfer(turns(TURNS))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while scheduler.waiting or not scheduler.in_flight:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0)
        waiting = replica.stub.ModelInfer(turns(1), timeout=PATIENCE_SECONDS)
        await until_waiting(replica, 1)
        expected_seconds = scheduler.expected_wait_ns / 1e9
        gauge = (await scraped(replica))["headrace_inference_expected_wait_seconds", LABELS]
        error = await error_of(replica.stub.ModelInfer(turns(1)))
        hasty = await error_of(replica.stub.ModelInfer(turns(1), timeout=PATIENCE_SECONDS))
        running.cancel()
        await waiting

    assert pytest.approx(expected_seconds) == gauge > 0
    assert ["QUEUE_WAIT_TOO_LONG"] * 2 == [error.reason, hasty.reason]
    assert "queue.max_wait" == error.facts["setting"]
    assert "0.001" == error.facts["limit_seconds"]
    assert pytest.approx(expected_seconds, rel=0.01) == float(error.facts["expected_wait_seconds"])
    assert error.retry_after_seconds is not None
    assert pytest.approx(expected_seconds / 2, abs=0.0101) == error.retry_after_seconds
