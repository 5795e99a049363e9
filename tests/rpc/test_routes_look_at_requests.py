"""Match rules, sticky keys and several canaries choose alike, whichever way requests come in."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.datatypes import Datatype
from headrace.state.catalog import Catalog
from headrace.state.route_records import (
    Canary,
    KeySource,
    MatchRule,
    RequestKey,
    RouteRecord,
)
from headrace_inference.domain.routing.request_texts import place_of
from tests.rpc.grpc_fixtures import GrpcReplica, open_grpc_replica
from tests.rpc.rest_fixtures import catalog_of, echo, wait_until_settled
from tests.rpc.route_wires import WIRES, Ask, Pairs, Question, Said, by_generate

MODEL = "echo-INT64"
USER = RequestKey(KeySource.HEADER, "x-user")
SEAT = RequestKey(KeySource.PARAMETER, "seat")
ROUTE = RouteRecord(
    1,
    Canary(2, 20.0),
    more_canaries=(Canary(3, 10.0),),
    sticky_key=USER,
    matches=(
        MatchRule(RequestKey(KeySource.HEADER, "x-beta"), 4, equals="1"),
        MatchRule(SEAT, 4, prefix="be"),
    ),
)


@asynccontextmanager
async def routed(folder: Path, front: str, route: RouteRecord) -> AsyncIterator[GrpcReplica]:
    """A replica of four versions of one model, with this route."""
    served = echo(Datatype.INT64)
    async with open_grpc_replica(folder, served, front=front) as replica:
        reconciler = replica.ingress.reconciler
        catalog = catalog_of([served])
        model = replace(catalog.models[MODEL], route=route)
        versions = {
            (MODEL, number): replace(served.record, number=number) for number in (1, 2, 3, 4)
        }
        reconciler.want(Catalog(2, {MODEL: model}, versions))
        await wait_until_settled(reconciler)
        yield replica


def led_by_place(user: str) -> str:
    """The version that a user's place leads to."""
    place = place_of(MODEL, user)
    return "2" if place < 20 else "3" if place < 30 else "1"


def users() -> Iterator[str]:
    """Five users for each of the versions that places lead to."""
    names = [f"user-{number}" for number in range(200)]
    for version in ("1", "2", "3"):
        yield from [name for name in names if led_by_place(name) == version][:5]


@pytest.mark.parametrize(("front", "ask"), WIRES)
async def test_every_wire_honours_the_whole_route(tmp_path: Path, front: str, ask: Ask) -> None:
    """Weights by turns, keys by their places, and rules before both."""
    by_user = {user: (("x-user", user),) for user in users()}
    async with routed(tmp_path, front, ROUTE) as replica:

        async def answer(headers: Pairs = (), parameters: Pairs = (), count: int = 1) -> Said:
            return await ask(replica, Question(MODEL, (1,) * count, headers, parameters))

        counts = Counter([(await answer()).version for _ in range(60)])
        stuck = {
            user: [await answer(headers, count=count) for count in (1, 2)]
            for user, headers in by_user.items()
        }
        user, headers = next(iter(by_user.items()))
        matched = [
            await answer((*headers, ("x-beta", "1"))),
            await answer(headers, (("seat", "beta"),)),
        ]
        unmatched = await answer((*headers, ("x-beta", "2")), (("seat", "b"),))

    says_why = ask is not by_generate
    sticky, match = ("sticky", "matched") if says_why else ("", "")
    assert [42, 12, 6] == pytest.approx([counts["1"], counts["2"], counts["3"]], abs=2)
    assert {user: [Said(led_by_place(user), sticky)] * 2 for user in by_user} == stuck
    assert [Said("4", match)] * 2 == matched
    assert Said(led_by_place(user), sticky) == unmatched
