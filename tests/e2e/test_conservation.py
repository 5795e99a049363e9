"""What an exact client was told is what the monitor counted, by reason, whoever is killed meanwhile.

Every reason is raised, told and counted in tests/reasons. Here all ways in are mixed, over two replicas.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from headrace import AsyncClient, HeadraceError
from headrace.client import Statistics
from tests.e2e.models import scaling
from tests.e2e.traffic import push
from tests.language.tiny_models import TinyModel
from tests.reasons.exact import ExactClient, Told
from tests.reasons.messages import Rest, asked, rest, tensor
from tests.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

MODEL = "m"
REPLICAS = 2
ROUNDS = 3
WAIT_SECONDS = 40
Ask = Callable[[], Awaitable[str]]
"""Asks for something, and gives the reason that it was told; OK where it was answered."""


@dataclass
class Tally:
    """What callers were told, by reason, and who cannot know it: those whose replica went."""

    told: Counter[str] = field(default_factory=Counter)
    unknown: int = 0

    async def ask(self, ask: Ask) -> None:
        """Ask, and remember the answer."""
        try:
            self.told[await ask()] += 1
        except (aiohttp.ClientError, ConnectionError):
            self.unknown += 1


def ways(client: ExactClient, language: AsyncClient) -> list[Ask]:
    """Each kind of request: answered and refused, by call, stream and POST, of tensors and of text."""
    good = asked(MODEL, ("x", "FP32", [1, 2]), raw=[bytes(8)]).SerializeToString()
    wrong = [
        asked("nobody").SerializeToString(),
        asked(MODEL, ("x", "FP64", [1, 2]), raw=[bytes(16)]).SerializeToString(),
        asked(MODEL, ("z", "FP32", [1, 2]), raw=[bytes(8)]).SerializeToString(),
        asked(MODEL, ("x", "FP32", [1, 2]), raw=[bytes(8)], model_version="77").SerializeToString(),
        b"\xff\xff",
    ]
    posts = [
        rest(tensor([1, 2], (1, 2)), model=MODEL),
        rest(tensor(datatype="FP64"), model=MODEL),
        rest(model="nobody"),
        Rest(b"{", f"/v2/models/{MODEL}/infer"),
    ]
    wires: list[tuple[Callable[[Any], Awaitable[Told]], Sequence[Any]]] = [
        (client.call, [good, *wrong]),
        (client.stream, [good, *wrong]),
        (client.post, posts),
    ]
    return [
        *[partial(reason_of, send, each) for send, messages in wires for each in messages],
        *[partial(generated, language, model) for model in ("chat", MODEL, "nobody")],
    ]


async def reason_of(send: Callable[[Any], Awaitable[Told]], message: Any) -> str:
    """The reason; where gRPC itself says that nobody is there, the error of a connection."""
    told = await send(message)
    if told.status == "UNAVAILABLE" and told.reason in ("", "UNAVAILABLE"):
        raise ConnectionError
    return told.reason or told.status


async def generated(client: AsyncClient, model: str) -> str:
    """Generate a few tokens."""
    try:
        await client.chat(model, "Hello", max_tokens=3, ignore_eos=True)
    except HeadraceError as error:
        if error.reason in ("", "UNAVAILABLE", "UNREACHABLE"):
            raise ConnectionError from error
        return error.reason
    return "OK"


@asynccontextmanager
async def clients(suite: RunningSuite) -> AsyncIterator[Sequence[list[Ask]]]:
    """All ways into each of the replicas."""
    async with aiohttp.ClientSession() as session:
        found: list[list[Ask]] = []
        channels: list[grpc.aio.Channel] = []
        languages: list[AsyncClient] = []
        for one in suite.ready["inference"]:
            channels.append(grpc.aio.insecure_channel(one["grpc"]))
            languages.append(AsyncClient(registry=suite.registry, inference=one["grpc"]))
            exact = ExactClient(channels[-1], session, one["http"])
            found.append(ways(exact, languages[-1]))
        yield found
        for channel in channels:
            await channel.close()
        for language in languages:
            await language.close()


@asynccontextmanager
async def serving(
    folder: Path, front: str, tiny: TinyModel
) -> AsyncIterator[tuple[RunningSuite, AsyncClient, Sequence[list[Ask]]]]:
    """Two replicas, their models ready, and an exact client of both."""
    async with (
        running_suite(folder, replicas=REPLICAS, extra=[f"--front={front}"]) as suite,
        AsyncClient(
            registry=suite.registry, inference=suite.inference, monitor=suite.monitor
        ) as client,
        clients(suite) as asks,
    ):
        await push(client, MODEL, scaling(2.0))
        pushed = await client.push("chat", tiny.folder)
        await client.wait_until_ready("chat", pushed.number, timeout_seconds=60)
        yield suite, client, asks


async def rounds(tally: Tally, replicas: Sequence[list[Ask]], count: int = ROUNDS) -> None:
    """Ask everything of every replica, all at once, so often."""
    for _ in range(count):
        await asyncio.gather(*[tally.ask(ask) for asks in replicas for ask in asks])


def counted_in(statistics: Statistics) -> Counter[str]:
    """The requests that the monitor counted, by reason."""
    found = Counter[str]()
    for version in statistics.versions:
        found["OK"] += version.success_count
        found.update(version.error_counts)
        by_reason = {part.value: part.failed.count for part in version.parts}
        assert dict(version.error_counts) == by_reason
        assert version.success_count == version.total.count == sum(version.route_counts.values())
    return +found


async def counted(client: AsyncClient, gaps: int = 0) -> Statistics:
    """The monitor's figures once each replica has told of all until now, and so many were found lost."""
    now = time.time()
    async with asyncio.timeout(WAIT_SECONDS):
        watch = client.watch_statistics(600, parts_by=["reason"], interval_seconds=0.2)
        async for found in watch:
            told = [each.last_report_at > now for each in found.replicas]
            if len(told) == REPLICAS and all(told) and lost(found) >= gaps:
                return found
    raise AssertionError("the watch ended")


def lost(statistics: Statistics) -> int:
    """The replicas that ended without their last report."""
    return sum(gap.reason == "REPLICA_LOST" for gap in statistics.gaps)


@pytest.mark.parametrize("front", ["native", "grpcio"])
async def test_all_is_counted_once(tmp_path: Path, front: str, tiny_llama: TinyModel) -> None:
    """By every way in; also over kill -9 of the monitor and of Redis, while requests go on."""
    tally = Tally()
    async with serving(tmp_path, front, tiny_llama) as (suite, client, asks):
        await rounds(tally, asks)
        for victim in ("monitor", "redis"):
            killed = suite.kill(victim)
            await rounds(tally, asks)
            await suite.wait_until_back(victim, killed)
            await rounds(tally, asks)
        statistics = await counted(client)

    assert 0 == tally.unknown
    assert tally.told == counted_in(statistics)
    assert 0 == lost(statistics)
    assert {"OK", "MODEL_NOT_FOUND", "DATATYPE_MISMATCH", "MALFORMED_JSON"} <= tally.told.keys()


@pytest.mark.parametrize("front", ["native", "grpcio"])
async def test_a_replica_that_is_killed_loses_no_more_than_is_marked(
    tmp_path: Path, front: str, tiny_llama: TinyModel
) -> None:
    """What it had not reported is lost, and marked as that; nothing counts twice, no other's is lost."""
    before, at_end, after = Tally(), Tally(), Tally()
    async with serving(tmp_path, front, tiny_llama) as (suite, client, asks):
        await rounds(before, asks)
        reported = counted_in(await counted(client))
        await rounds(at_end, asks[:1], 1)
        killed = suite.kill("replica-0")
        await rounds(after, asks[1:])
        await suite.wait_until_back("replica-0", killed)
        await rounds(after, asks[1:])
        least = before.told + after.told
        statistics = await counted(client, gaps=1)
        found = counted_in(statistics)

    assert (0, 0) == (before.unknown, after.unknown)
    assert before.told == reported
    assert 1 == lost(statistics)
    assert +(least - found) == Counter()
    assert +(found - least - at_end.told) == Counter()
