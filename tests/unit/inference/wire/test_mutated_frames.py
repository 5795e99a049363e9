"""Frames of streams with bytes changed by chance: whatever a peer sends, nothing of it stays."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from tests.hostile.frames import (
    CALL,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    RESET,
    WINDOW,
    Connection,
    block,
    frame,
    settings,
)
from tests.unit.inference.wire.stream_endpoints import (
    STREAM,
    Told,
    opened,
    request,
    running_endpoint,
    sent,
    told,
)

CONNECTIONS = 150
PATIENCE_SECONDS = 10
FRAMES = (
    sent(request(1), request(2)),
    sent(b"\xff"),
    sent(request(3), flags=END_STREAM),
    settings((4, 100)),
    settings((1, 0)),
    frame(WINDOW, 0, 1, bytes((0, 0, 1, 0))),
    frame(RESET, 0, 1, bytes((0, 0, 0, 8))),
    frame(HEADERS, END_HEADERS | END_STREAM, 3, block(STREAM)),
    frame(HEADERS, END_HEADERS, 5, block(CALL)),
    frame(DATA, END_STREAM, 5, b"abc"),
    frame(DATA, PADDED, 1, b"\2ab\0\0"),
)


def mutated(chance: random.Random) -> bytes:
    """Some frames after good ones, and a few wrong bytes among them."""
    data = bytearray(opened() + b"".join(chance.choices(FRAMES, k=chance.randint(1, 8))))
    for _ in range(chance.choice((0, 1, 2, 5))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def _ask(connection: Connection) -> Told:
    connection.send(opened() + sent(request(1), flags=END_STREAM))
    return told(connection)


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_of_broken_connections_stays(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """No request, no byte of the budget, no error that nobody expected; and others are answered."""
    chance = random.Random(seed)
    async with running_endpoint(max_in_flight=3) as endpoint:
        ingress = endpoint.site.ingress
        for _ in range(CONNECTIONS):
            reader, writer = await asyncio.open_unix_connection(str(endpoint.path))
            writer.write(mutated(chance))
            await writer.drain()
            await reader.read(1)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while ingress.receptions.count or ingress.budget.requests or ingress.budget.bytes:  # noqa: ASYNC110
                await asyncio.sleep(0.005)  # other threads know no event
        found = await endpoint.ask(_ask)
    assert ([2.0], "0") == (found.values, found.status)
    assert [] == [record for record in caplog.records if record.levelname == "ERROR"]
