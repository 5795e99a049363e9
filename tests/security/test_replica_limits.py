"""Callers with limits get so much of a replica and no more, whichever wire and front they use."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import numpy as np
import pytest

from headrace import status
from headrace.errors import ResourceExhausted
from headrace.security.policy import NO_LIMITS, CallLimits, Grant
from headrace_inference.domain.ingress.call_limits import CallLimiter, TokenBucket
from tests.rpc.grpc_fixtures import request
from tests.security.asked_models import IDS, OURS, WAYS, open_models, outcome
from tests.security.keyring import Keyring

ways = pytest.mark.parametrize(("front", "wire"), WAYS, ids=IDS)
SLOW = 1e-6
"""A rate that gives one request, and nothing more while a test runs."""


class StillClock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 0

    def monotonic_ns(self) -> int:
        """Return the time that was set."""
        return self.now

    def wall_ns(self) -> int:
        """The same."""
        return self.now

    def thread_ns(self) -> int:
        """The same."""
        return self.now


def _keys(limits: CallLimits) -> Keyring:
    keys = Keyring({"ours": (Grant("caller"),), "others": (Grant("caller"),)})
    keys.limit("ours", limits)
    return keys


@ways
@pytest.mark.parametrize(
    ("limits", "unit"),
    [
        (CallLimits(requests_per_second=SLOW), "requests a second"),
        (CallLimits(rows_per_second=SLOW), "rows a second"),
    ],
)
async def test_a_caller_gets_no_more_than_its_limit(
    tmp_path: Path, front: str, wire: str, limits: CallLimits, unit: str
) -> None:
    """What is over it is RESOURCE_EXHAUSTED; other callers are not held up; without limits all is well."""
    keys = _keys(limits)
    ours, others = keys.metadata("ours"), keys.metadata("others")
    async with open_models(tmp_path, keys.access, front) as replica:
        assert (await outcome(replica, wire, OURS, ours))[0] == "OK"
        for _ in range(2):
            code, reason, message = await outcome(replica, wire, OURS, ours)
            assert (code, reason) == ("RESOURCE_EXHAUSTED", "CALLER_LIMIT")
            assert unit in message
        assert (await outcome(replica, wire, OURS, others))[0] == "OK"
        keys.limit("ours", NO_LIMITS)
        assert (await outcome(replica, wire, OURS, ours))[0] == "OK"


@ways
async def test_requests_in_flight_are_given_back(tmp_path: Path, front: str, wire: str) -> None:
    """One at a time: each that has ended, well or not, makes room for the next."""
    keys = _keys(CallLimits(in_flight=1))
    ours = keys.metadata("ours")
    async with open_models(tmp_path, keys.access, front) as replica:
        for _ in range(3):
            assert (await outcome(replica, wire, OURS, ours))[0] == "OK"
            assert (await outcome(replica, wire, "echo-none", ours))[0] == "NOT_FOUND"
        limiter = replica.ingress.callers.enter(ours, OURS, 0)
        assert limiter is not None
        limiter.hold(1)
        code, reason, message = await outcome(replica, wire, OURS, ours)
        assert (code, reason) == ("RESOURCE_EXHAUSTED", "CALLER_LIMIT")
        assert "in flight" in message
        limiter.release(1)
        assert (await outcome(replica, wire, OURS, ours))[0] == "OK"
        assert limiter.in_flight == 0


async def test_the_delay_is_told(tmp_path: Path) -> None:
    """The refusal says when to come back, as RetryInfo."""
    keys = _keys(CallLimits(requests_per_second=0.5))
    async with open_models(tmp_path, keys.access, "native") as replica:
        message = request(OURS, np.ones(2, np.float32))
        await replica.stub.ModelInfer(message, metadata=keys.metadata("ours"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await replica.stub.ModelInfer(message, metadata=keys.metadata("ours"))
        told = status.error_from_rpc(refused.value).retry_after_seconds
        assert told is not None
        assert 1.0 < told <= 2.0


@pytest.mark.parametrize(
    ("rate", "takes", "expected"),
    [
        (0.0, [(0, 5.0)], [0.0]),
        (2.0, [(0, 1.0), (0, 1.0), (0, 1.0)], [0.0, 0.0, 0.5]),
        (2.0, [(0, 2.0), (1, 2.0)], [0.0, 0.0]),
        (2.0, [(0, 2.0), (9, 2.0), (9, 1.0)], [0.0, 0.0, 0.5]),
        (2.0, [(0, 6.0), (1, 1.0), (2, 1.0), (3, 1.0)], [0.0, 1.5, 0.5, 0.0]),
        (0.1, [(0, 1.0), (5, 1.0), (10, 1.0)], [0.0, 5.0, 0.0]),
    ],
)
def test_a_rate_keeps_one_second_of_what_is_not_used(
    rate: float, takes: list[tuple[float, float]], expected: list[float]
) -> None:
    """What is larger than that may be taken when all is there, and is paid for afterwards."""
    bucket = TokenBucket(rate, 0)
    found = []
    for at, wanted in takes:
        missing = bucket.missing_seconds(wanted, int(at * 1e9))
        found.append(round(missing, 6))
        if not missing:
            bucket.take(wanted)
    assert expected == found


def test_a_limit_is_exact_among_threads() -> None:
    """A thousand requests of eight threads get what ten a second give in one, and not one more."""
    limiter = CallLimiter("ours", CallLimits(requests_per_second=100), StillClock())

    def ask(_: int) -> bool:
        try:
            limiter.hold(1)
        except ResourceExhausted:
            return False
        return True

    async def all_at_once() -> list[bool]:
        return await asyncio.gather(*(asyncio.to_thread(ask, n) for n in range(1000)))

    assert sum(asyncio.run(all_at_once())) == 100
