"""Bursts without a wire: admitted, run together, routed again where a version went, counted once."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from headrace.errors import HeadraceError
from headrace.state.desired import Key
from headrace.state.route_records import Canary
from headrace_inference.domain.ingress.bursts import BurstInference, RefusedByVersion
from headrace_inference.domain.reconciliation.residency import Caps
from headrace_inference.domain.routing.table import OnStandby
from headrace_inference.domain.scheduling.requests import InferenceRequest
from tests.unit.inference.doubles import RecordingSink, catalog
from tests.unit.inference.ingress.replicas import Asked, Site, asked, running_site

Waits = list[tuple[InferenceRequest, Key]]


def bursts_of(site: Site, sink: RecordingSink) -> tuple[BurstInference, Waits]:
    """Bursts whose outcomes go to a sink, and what is taken back to wait for a load."""
    waits: Waits = []
    taken = BurstInference(
        site.ingress, sink, sink, lambda request, key: waits.append((request, key))
    )
    return taken, waits


def now_ns() -> int:
    """When requests come."""
    return time.monotonic_ns()


async def test_a_burst_is_answered_and_counted_once() -> None:
    """Requests by route and by number go to their versions; each has its own values."""
    sink = RecordingSink()
    async with running_site() as site:
        await site.follow(catalog(1, 2, stable=1, keep_latest=2), 1, 2)
        bursts, _ = bursts_of(site, sink)
        burst = [asked(value=n, version="2" if n % 4 == 0 else "") for n in range(8)]
        bursts.run([bursts.admit(one, now_ns()) for one in burst])
        await asyncio.to_thread(sink.wait, 8)
        assert {n: [2.0 * n] * 2 for n in range(8)} == {
            int(one.value): np.ravel(sink.outputs[one][0]).tolist() for one in burst
        }
        assert ((6, {}), (2, {})) == (site.counted(1), site.counted(2))


async def test_lone_requests_are_answered_and_counted_once() -> None:
    """One after the other, wherever they run."""
    sink = RecordingSink()
    async with running_site() as site:
        await site.follow(catalog(1, stable=1), 1)
        bursts, _ = bursts_of(site, sink)
        for value in range(20):
            one = asked(value=value)
            bursts.run_one(bursts.admit(one, now_ns()), value)
            await asyncio.to_thread(sink.wait, 1)
            assert [2.0 * value] * 2 == np.ravel(sink.outputs[one][0]).tolist()
        assert (20, {}) == site.counted(1)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (asked("other"), "MODEL_NOT_FOUND"),
        (asked(version="7"), "VERSION_NOT_FOUND"),
        (asked(version="-1"), "VERSION_INVALID"),
        (asked("m@nobody"), "ALIAS_NOT_FOUND"),
    ],
)
async def test_names_that_lead_nowhere(request_: Asked, reason: str) -> None:
    """They are refused before any version has them."""
    async with running_site() as site:
        await site.follow(catalog(1, stable=1), 1)
        bursts, _ = bursts_of(site, RecordingSink())
        with pytest.raises(HeadraceError) as refused:
            bursts.admit(request_, now_ns())
    assert reason == refused.value.reason


async def test_a_request_that_a_version_refuses_takes_no_turn() -> None:
    """A canary's turns are those of requests that run; the refusal names the version that counts it."""
    sink = RecordingSink()
    async with running_site() as site:
        canaried = catalog(1, 2, stable=1, canary=Canary(2, 50.0), keep_latest=2)
        await site.follow(canaried, 1, 2)
        bursts, _ = bursts_of(site, sink)
        picked = []
        for _ in range(6):
            with pytest.raises(RefusedByVersion) as refused:
                bursts.admit(asked(datatype="FP64"), now_ns())
            assert isinstance(refused.value.error, HeadraceError)
            assert "DATATYPE_MISMATCH" == refused.value.error.reason
            version, _ = bursts.admit(asked(), now_ns())
            picked.append(version.record.number)
    assert [1, 2] * 3 == picked


async def test_a_request_whose_version_went_is_routed_again() -> None:
    """It keeps its identity, and is answered and counted by the successor alone."""
    sink = RecordingSink()
    async with running_site() as site:
        await site.follow(catalog(1, stable=1), 1)
        bursts, _ = bursts_of(site, sink)
        one = asked()
        admitted = bursts.admit(one, now_ns())
        await site.follow(catalog(2, stable=2), 2)
        await asyncio.to_thread(admitted[0].close)
        bursts.queue(*admitted)
        await asyncio.to_thread(sink.wait, 1)
        assert (one, "stable") == (admitted[1].reply, admitted[1].route)
        assert ((0, {}), (1, {})) == (site.counted(1), site.counted(2))


async def test_a_request_whose_model_went_is_told_so() -> None:
    """Under the model's name, and once."""
    sink = RecordingSink()
    async with running_site() as site:
        await site.follow(catalog(1, stable=1), 1)
        bursts, _ = bursts_of(site, sink)
        one = asked()
        admitted = bursts.admit(one, now_ns())
        await site.follow(catalog(2, keep_latest=1), 2)
        await asyncio.to_thread(admitted[0].close)
        bursts.queue(*admitted)
        await asyncio.to_thread(sink.wait, 1)
        reason = sink.errors[one].reason
        assert ((0, {}), (0, {reason: 1})) == (site.counted(1), site.counted(0))


async def test_a_request_has_its_version_loaded() -> None:
    """Admission says what is missing; the ingress has it loaded, and then the request is admitted."""
    async with running_site(caps=Caps(max_versions=1)) as site:
        await site.follow(catalog(1, 2, stable=1, keep_latest=2), 1)
        bursts, _ = bursts_of(site, RecordingSink())
        one = asked(version="2")
        with pytest.raises(OnStandby) as standing_by:
            bursts.admit(one, now_ns())
        told: asyncio.Queue[HeadraceError | None] = asyncio.Queue()
        site.ingress.load_for(standing_by.value.key, now_ns(), None, told.put_nowait)
        async with asyncio.timeout(20):
            assert await told.get() is None
        version, _ = bursts.admit(one, now_ns())
        assert 2 == version.record.number


async def test_what_is_known_is_not_checked_again() -> None:
    """A request whose likes were checked has its plan and values at once."""
    sink = RecordingSink()
    async with running_site() as site:
        await site.follow(catalog(1, stable=1), 1)
        bursts, _ = bursts_of(site, sink)
        one = asked()
        first, second = bursts.admit(one, now_ns()), bursts.admit(one, now_ns())
    assert 1 == len(one.remembered)
    assert first[1].plan is second[1].plan
