"""Calls that are given up at once, beside one that takes longer on the same connection."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.frames import DATA, GOAWAY, PREFACE, RESET, call, frame, settings
from tests.rpc.grpc_fixtures import FRONTS, open_grpc_replica
from tests.rpc.test_connection_age import HEAD_BYTES, Gate
from tests.rpc.test_endless_runs import PATIENCE_SECONDS, counting, turns

CANCEL, ENHANCE_YOUR_CALM = 8, 11
MOST_ON_THE_NATIVE_FRONT = 20
"""What h2, inside the package, bears: docs/adr/0015-calls-given-up.md."""


async def outcome_beside(folder: Path, front: str, given_up: int) -> str:
    """What becomes of a call while so many others come and are given up in one write."""
    gate = Gate()
    request = turns(3).SerializeToString()
    options: dict[str, Any] = {"open_model": gate.open_session, "front": front}
    async with open_grpc_replica(folder, counting(), **options) as replica:
        host, _, port = replica.grpc_address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(PREFACE + settings() + call(request))
        assert await asyncio.to_thread(gate.entered.wait, PATIENCE_SECONDS)
        streams = range(3, 3 + 2 * given_up, 2)
        reset = struct.pack(">I", CANCEL)
        writer.write(b"".join(call(request, stream=n) + frame(RESET, 0, n, reset) for n in streams))
        await writer.drain()
        writer.write(frame(6, 0, 0, bytes(8)))  # the answer to this PING says that all was read
        try:
            return await _outcome(reader, gate)
        finally:
            gate.opened.set()
            writer.close()


async def _outcome(reader: asyncio.StreamReader, gate: Gate) -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            head = await reader.readexactly(HEAD_BYTES)
            payload = await reader.readexactly(int.from_bytes(head[:3]))
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:])
            if kind == 6 and flags & 1:
                gate.opened.set()
            elif kind == GOAWAY:
                return f"GOAWAY {int.from_bytes(payload[4:8])}"
            elif kind == DATA and stream == 1:
                return "answered"


@pytest.mark.parametrize("front", FRONTS)
async def test_a_few_calls_given_up_at_once_cost_nobody_else(tmp_path: Path, front: str) -> None:
    """As many as the native front bears."""
    assert "answered" == await outcome_beside(tmp_path, front, MOST_ON_THE_NATIVE_FRONT)


async def test_the_grpcio_front_bears_hundreds(tmp_path: Path) -> None:
    """It is the one for callers with deadlines of a few milliseconds."""
    assert "answered" == await outcome_beside(tmp_path, "grpcio", 400)


async def test_the_native_fronts_limit_is_as_written_down(tmp_path: Path) -> None:
    """Where this fails, the package bears more: then the decision and the documentation are out of date."""
    outcome = await outcome_beside(tmp_path, "native", MOST_ON_THE_NATIVE_FRONT + 1)
    assert f"GOAWAY {ENHANCE_YOUR_CALM}" == outcome
