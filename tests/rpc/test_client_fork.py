"""Clients in processes that fork, as gunicorn --preload, Celery and multiprocessing do."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from headrace.inference import grpc_service_pb2, grpc_service_pb2_grpc
from tests.rpc.client_fixtures import open_services

SCRIPT = """
import asyncio, json, multiprocessing, sys
import headrace

address, scenario = sys.argv[1:]


def new():
    return headrace.Client(inference=address, timeout_seconds=5.0)


def asks(client):
    try:
        return client.server_live()
    except headrace.errors.HeadraceError as error:
        return error.reason


async def asks_asynchronously():
    async with headrace.AsyncClient(inference=address, timeout_seconds=5.0) as mine:
        return await mine.server_live()


def of_its_own():
    with new() as mine:
        return asks(mine)


def asynchronous():
    try:
        return asyncio.run(asks_asynchronously())
    except headrace.errors.HeadraceError as error:
        return error.reason


def of_the_parent():
    with client:
        return asks(client)


client = new()
if scenario != "unused":
    asks(client)
if scenario == "closed":
    client.close()
    client = new()
fork = multiprocessing.get_context("fork")
found = []
for what in (of_its_own, of_the_parent, asynchronous):
    with fork.Pool(1) as pool:
        found.append(pool.apply_async(what).get(timeout=20))
        pool.close()
        pool.join()
print(json.dumps([*found, asks(client)]))
"""


class Replica(grpc_service_pb2_grpc.GRPCInferenceServiceServicer):
    """One that is live."""

    async def ServerLive(self, request: Any, context: Any) -> grpc_service_pb2.ServerLiveResponse:
        return grpc_service_pb2.ServerLiveResponse(live=True)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems start processes otherwise")
@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("unused", [True] * 4),
        ("closed", [True] * 4),
        ("connected", [*["FORKED_WHILE_CONNECTED"] * 3, True]),
    ],
)
async def test_a_client_in_a_forked_child_answers_or_says_why_not(
    scenario: str, expected: list[bool | str]
) -> None:
    """With the parent's client, one of its own and an AsyncClient; the parent's goes on working."""
    async with open_services(Replica()) as port:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SCRIPT, f"127.0.0.1:{port}", scenario),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
    assert (0, expected) == (process.returncode, json.loads(output))
