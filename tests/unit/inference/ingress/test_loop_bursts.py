"""Requests of an event loop without a wire: gathered, run or queued together, told and counted once."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest

from headrace.errors import HeadraceError, InvalidArgument
from headrace_inference.domain.ingress.bursts import BurstInference
from headrace_inference.domain.ingress.limits import IngressLimits
from headrace_inference.domain.ingress.loop_bursts import LARGE_BYTES, LoopBursts
from headrace_inference.domain.ingress.loop_calls import LoopCall
from headrace_inference.domain.ingress.loop_inference import Answer
from headrace_inference.domain.reconciliation.residency import Caps
from headrace_inference.domain.scheduling.requests import ResponsePart
from tests.unit.inference.doubles import DoublingRunner, RecordingSink, catalog
from tests.unit.inference.ingress.replicas import Asked, Site, asked, running_site

Told = list[float] | str
"""The values of an answer, or the reason of an error."""


class Call(LoopCall[list[float]]):
    """A call that keeps what it is told, and what was counted by then."""

    def __init__(
        self, site: Site, request: Asked, held_bytes: int, deadline_ns: int | None
    ) -> None:
        names = request.header.model_name, request.header.model_version
        super().__init__(site.ingress.receptions, lambda: names, deadline_ns, held_bytes)
        self.site = site
        self.told: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        self.thread = 0
        self.counted_by_then = 0

    def take_answer(self, encoded: list[float], part: ResponsePart) -> None:
        """Keep it."""
        self.thread = threading.get_ident()
        self.counted_by_then = self.site.counted(1)[0]
        self.told.set_result(encoded)

    def take_error(self, error: HeadraceError) -> None:
        """Keep its reason."""
        self.told.set_result(error.reason)


@dataclass(eq=False)
class Arrived(Asked):
    """A request and its call."""

    call: Call = None  # type: ignore[assignment]  # set by whoever makes it


def arrival(
    site: Site, request: Asked, held_bytes: int = 0, deadline_ns: int | None = None
) -> Arrived:
    """A request that has come."""
    call = Call(site, request, held_bytes, deadline_ns)
    return Arrived(request.header, request.value, request.is_slow, call=call)


def values_of(answer: Answer) -> list[float]:
    """What calls are told."""
    if np.ravel(answer.outputs[0])[0] == 1998.0:
        raise InvalidArgument("UNSAYABLE", "there is no such answer")
    values: list[float] = np.ravel(answer.outputs[0]).tolist()
    return values


async def told(one: Arrived) -> Told:
    """The outcome of a request."""
    async with asyncio.timeout(10):
        return await one.call.told


def held(site: Site) -> tuple[int, int, int]:
    """What is open: requests, their bytes, calls."""
    budget = site.ingress.budget
    return budget.requests, budget.bytes, site.ingress.receptions.count


async def test_those_of_one_turn_make_a_burst() -> None:
    """Each is answered on the loop, with its own values, counted by then, and holds nothing afterwards."""
    async with running_site() as site:
        await site.follow(catalog(1, stable=1), 1)
        bursts = LoopBursts(site.ingress, values_of)
        batches = site.loader.runners[1].batches
        for _ in range(20):  # some run alone before any share a run
            bursts.put(one := arrival(site, asked()))
            assert [2.0, 2.0] == await told(one)
        before = len(batches)
        burst = [arrival(site, asked(value=n), held_bytes=10) for n in range(8)]
        for one in burst:
            bursts.put(one)
        answers = [await told(one) for one in burst]
        assert [[2.0 * n] * 2 for n in range(8)] == answers
        assert len(batches) - before < 8
        assert {threading.get_ident()} == {one.call.thread for one in burst}
        assert [21 + n for n in range(8)] == [one.call.counted_by_then for one in burst]
        assert ((28, {}), (0, 0, 0)) == (site.counted(1), held(site))
        assert {None} == {one.call.request for one in burst}


@pytest.mark.parametrize(
    ("request_", "held_bytes", "number", "reason"),
    [
        (asked(version="7"), 0, 0, "VERSION_NOT_FOUND"),
        (asked(datatype="FP64"), 0, 1, "DATATYPE_MISMATCH"),
        (asked(value=-1.0), 0, 1, "RUN_FAILED"),
        (asked(value=999.0), 0, 1, "UNSAYABLE"),
        (asked(), 101, 0, "REPLICA_OVERLOADED"),
    ],
)
@pytest.mark.parametrize("is_slow", [False, True])
async def test_a_refusal_counts_where_it_came_about(
    request_: Asked, held_bytes: int, number: int, reason: str, is_slow: bool
) -> None:
    """On the version that the request reached, else under its model; those beside it are answered."""
    async with running_site(IngressLimits(max_bytes=100)) as site:
        await site.follow(catalog(1, stable=1), 1)
        bursts = LoopBursts(site.ingress, values_of)
        good, bad = arrival(site, asked()), arrival(site, request_, held_bytes)
        bad.is_slow = is_slow
        bursts.put(bad)
        bursts.put(good)
        assert (reason, [2.0, 2.0]) == (await told(bad), await told(good))
        assert {reason: 1} == site.counted(number)[1]
        assert (1, (0, 0, 0)) == (site.counted(1)[0], held(site))


@pytest.mark.parametrize(("is_slow", "held_bytes"), [(True, 0), (False, LARGE_BYTES + 1)])
async def test_what_takes_long_is_queued(is_slow: bool, held_bytes: int) -> None:
    """Requests whose values take long to make, and large ones, run on an instance."""
    async with running_site() as site:
        await site.follow(catalog(1, stable=1), 1)
        bursts = LoopBursts(site.ingress, values_of)
        for value in range(20):
            bursts.put(one := arrival(site, asked(value=value), held_bytes))
            one.is_slow = is_slow
            assert [2.0 * value] * 2 == await told(one)
        assert {threading.get_ident()}.isdisjoint(site.loader.runners[1].threads)
        assert ((20, {}), (0, 0, 0)) == (site.counted(1), held(site))


async def test_a_version_that_held_the_loop_up_is_queued() -> None:
    """Its next runs are on an instance, so that the loop goes on."""
    async with running_site() as site:
        await site.follow(catalog(1, stable=1), 1)
        bursts = LoopBursts(site.ingress, values_of)
        loop, runner = threading.get_ident(), site.loader.runners[1]
        async with asyncio.timeout(10):
            while loop not in runner.threads:
                bursts.put(one := arrival(site, asked()))
                await told(one)
        ids = [version.id for version in site.reconciler.table.ready.values()]
        bursts._held_up.add(ids, 10**9, 10**9)
        runner.threads.clear()
        for _ in range(20):
            bursts.put(one := arrival(site, asked()))
            await told(one)
        assert loop not in runner.threads


async def test_who_leaves_hears_nothing_and_is_not_run() -> None:
    """Its room is free at once, and it counts as cancelled, whether it arrived, waits or runs."""
    async with running_site() as site:
        runner = site.loader.runners[1] = DoublingRunner()
        runner.gate = threading.Event()
        await site.follow(catalog(1, stable=1), 1)
        bursts = LoopBursts(site.ingress, values_of)
        running, waiting, staying, new = (arrival(site, asked(), 10) for _ in range(4))
        bursts.put(running)
        assert await asyncio.to_thread(runner.entered.acquire, timeout=10)
        bursts.put(waiting)
        bursts.put(staying)
        while site.ingress.budget.requests < 3:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        bursts.put(new)
        for one in (running, waiting, new):
            bursts.leave(one.call)
        assert (1, 10, 1) == held(site)
        runner.gate.set()
        assert [2.0, 2.0] == await told(staying)
        assert ((1, {"CANCELLED": 2}), (0, {"CANCELLED": 1})) == (site.counted(1), site.counted(0))
        assert [False] * 3 == [one.call.told.done() for one in (running, waiting, new)]


async def test_a_deadline_that_passed() -> None:
    """It is told and counted as such."""
    async with running_site() as site:
        await site.follow(catalog(1, stable=1), 1)
        bursts = LoopBursts(site.ingress, values_of)
        late = arrival(site, asked(), deadline_ns=time.monotonic_ns() - 1)
        bursts.put(late)
        assert "DEADLINE_EXCEEDED" == await told(late)
        assert ((0, {"DEADLINE_EXCEEDED": 1}), (0, 0, 0)) == (site.counted(1), held(site))


async def test_a_version_that_stands_by_is_loaded() -> None:
    """Its request waits for that; one whose caller leaves meanwhile hears nothing."""
    async with running_site(caps=Caps(max_versions=1)) as site:
        await site.follow(catalog(1, 2, stable=1, keep_latest=2), 1)
        bursts = LoopBursts(site.ingress, values_of)
        one, gone = (arrival(site, asked(version="2"), 10) for _ in range(2))
        bursts.put(one)
        bursts.put(gone)
        while gone.call.wait is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        bursts.leave(gone.call)
        assert [2.0, 2.0] == await told(one)
        assert (False, (0, 0, 0)) == (gone.call.told.done(), held(site))


async def test_threads_and_loops_run_bursts_at_once() -> None:
    """Each request of either is answered with its own values and counted once."""
    sink, count = RecordingSink(), 300
    async with running_site() as site:
        await site.follow(catalog(1, stable=1), 1)
        loop_bursts = LoopBursts(site.ingress, values_of)
        thread_bursts = BurstInference(site.ingress, sink, sink, lambda _request, _key: None)
        of_thread = [asked(value=n) for n in range(count)]
        of_loop = [arrival(site, asked(value=1000 + n)) for n in range(count)]

        def receive() -> None:
            for start in range(0, count, 5):
                now = time.monotonic_ns()
                thread_bursts.run(
                    [thread_bursts.admit(one, now) for one in of_thread[start : start + 5]]
                )

        receiving = asyncio.get_running_loop().run_in_executor(None, receive)
        for start in range(0, count, 5):
            for one in of_loop[start : start + 5]:
                loop_bursts.put(one)
            await told(of_loop[start])
        answers = [await told(one) for one in of_loop]
        await receiving
        await asyncio.to_thread(sink.wait, count)
        assert [[2.0 * (1000 + n)] * 2 for n in range(count)] == answers
        assert [2.0 * n for n in range(count)] == [
            float(np.ravel(sink.outputs[one][0])[0]) for one in of_thread
        ]
        assert ((2 * count, {}), (0, 0, 0)) == (site.counted(1), held(site))
