"""Callers on the event loop, without a wire: answers, refusals, room, and who goes away."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from headrace.errors import HeadraceError
from headrace_inference.domain.ingress.async_inference import AsyncInference
from headrace_inference.domain.ingress.limits import IngressLimits
from headrace_inference.domain.ingress.loop_inference import Answer
from tests.unit.inference.doubles import DoublingRunner, catalog
from tests.unit.inference.ingress.replicas import Asked, Site, asked, running_site


async def ask(site: Site, inference: AsyncInference, request: Asked, held_bytes: int = 0) -> Answer:
    """What a wire does: count the request, and have it answered."""
    names = request.header.model_name, request.header.model_version
    with site.ingress.receptions.receiving(lambda: names) as reception:
        return await inference.infer(request, reception, held_bytes)


@pytest.mark.parametrize("is_slow", [False, True])
async def test_an_answer_is_counted_once(is_slow: bool) -> None:
    """Whether its values are made on the loop or in a thread."""
    async with running_site() as site:
        await site.follow(catalog(1, stable=1), 1)
        request = asked(value=3.0)
        request.is_slow = is_slow
        answer = await ask(site, AsyncInference(site.ingress), request)
        counted = site.counted(1)
        held = site.ingress.budget.requests, site.ingress.receptions.count
    assert [6.0, 6.0] == np.ravel(answer.outputs[0]).tolist()
    assert ((1, {}), (0, 0)) == (counted, held)


@pytest.mark.parametrize(
    ("request_", "held_bytes", "number", "reason"),
    [
        (asked(version="7"), 0, 0, "VERSION_NOT_FOUND"),
        (asked(datatype="FP64"), 0, 1, "DATATYPE_MISMATCH"),
        (asked(value=-1.0), 0, 1, "RUN_FAILED"),
        (asked(), 101, 0, "REPLICA_OVERLOADED"),
    ],
)
async def test_a_refusal_counts_where_it_came_about(
    request_: Asked, held_bytes: int, number: int, reason: str
) -> None:
    """On the version that the request reached, else under its model; and nothing stays held."""
    async with running_site(IngressLimits(max_bytes=100)) as site:
        await site.follow(catalog(1, stable=1), 1)
        with pytest.raises(HeadraceError) as refused:
            await ask(site, AsyncInference(site.ingress), request_, held_bytes)
        counted = site.counted(number)
        held = site.ingress.budget.requests, site.ingress.budget.bytes
    assert reason == refused.value.reason
    assert ((0, {reason: 1}), (0, 0)) == (counted, held)


async def test_who_goes_away_holds_nothing_and_is_not_run() -> None:
    """Room is there at once for others, while a run goes on for those who stay."""
    async with running_site(IngressLimits(max_requests=2)) as site:
        runner = site.loader.runners[1] = DoublingRunner()
        runner.gate = threading.Event()
        await site.follow(catalog(1, stable=1), 1)
        inference = AsyncInference(site.ingress)
        running = asyncio.create_task(ask(site, inference, asked()))
        assert await asyncio.to_thread(runner.entered.acquire, timeout=10)
        leaving = asyncio.create_task(ask(site, inference, asked()))
        while site.ingress.budget.requests < 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        with pytest.raises(HeadraceError) as refused:
            await ask(site, inference, asked())
        leaving.cancel()
        await asyncio.wait([leaving])
        staying = asyncio.create_task(ask(site, inference, asked()))
        while site.ingress.budget.requests < 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        runner.gate.set()
        await asyncio.gather(running, staying)
        counted, batches = site.counted(1), sum(runner.batches)
    assert ("REPLICA_OVERLOADED", (2, {"CANCELLED": 1}), 2) == (
        refused.value.reason,
        counted,
        batches,
    )
