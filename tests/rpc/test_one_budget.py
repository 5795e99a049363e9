"""All wires share one budget: what one of them holds, the others cannot have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, open_grpc_replica
from tests.rpc.test_endless_runs import TURNS, Begun, counting, turns

BODY = b'{"inputs": [{"name": "n", "datatype": "INT64", "shape": [1], "data": [1]}]}'


async def by_call(replica: GrpcReplica) -> str:
    """Why a call is refused; '' where it is not."""
    return (await failure_of(replica.stub.ModelInfer(turns(1))))[1]


async def by_stream(replica: GrpcReplica) -> str:
    """The same of a request on a stream."""
    call = replica.stub.ModelStreamInfer(iter([turns(1)]), metadata=[("triton_grpc_error", "true")])

    async def answers() -> None:
        assert [1 async for _ in call]

    return (await failure_of(answers()))[1]


async def by_post(replica: GrpcReplica) -> str:
    """The same of a REST request."""
    url = f"http://{replica.http_address}/v2/models/counting/infer"
    body = BODY.replace(b'"n"', f'"{turns(1).inputs[0].name}"'.encode())
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body) as response,
    ):
        return str((await response.json()).get("reason", ""))


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("ask", [by_call, by_stream, by_post])
async def test_a_request_of_one_wire_takes_the_room_of_another(
    tmp_path: Path, front: str, ask: Callable[[GrpcReplica], Awaitable[str]]
) -> None:
    """While a call runs, the only one that may be in flight, every wire is refused; then none is."""
    begun = Begun()
    async with open_grpc_replica(
        tmp_path,
        counting(),
        front=front,
        open_model=begun.open_session,
        max_requests_in_flight=1,
    ) as replica:
        running = replica.stub.ModelInfer(turns(TURNS))
        await begun.wait()
        assert "REPLICA_OVERLOADED" == await ask(replica)
        running.cancel()
        async with asyncio.timeout(20):
            while replica.ingress.budget.requests:  # noqa: ASYNC110 - threads tell nobody
                await asyncio.sleep(0.002)
        assert "" == await ask(replica)
