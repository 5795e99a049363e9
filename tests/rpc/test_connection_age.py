"""Connections of a certain age end in order: calls in flight are answered, and clients come back."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import FailedPrecondition
from headrace.state.records import VersionRecord
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.app.front_choice import choose_front
from headrace_inference.settings import Settings
from tests.hostile.frames import GOAWAY, PREFACE, settings
from tests.rpc.grpc_fixtures import open_grpc_replica
from tests.rpc.test_endless_runs import PATIENCE_SECONDS, counting, turns

AGE_SECONDS = 0.3
HEAD_BYTES = 9


class Gate:
    """Opens sessions whose runs wait until they are let through."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def open_session(self, path: Path, record: VersionRecord) -> Any:
        """The session."""
        runner: Any = open_session(path, record)
        run = runner.run

        def gated(inputs: Any, handle: Any = None) -> Any:
            self.entered.set()
            assert self.opened.wait(PATIENCE_SECONDS)
            return run(inputs, handle)

        runner.run = runner.run_alone = gated
        return runner


async def goaway_of(address: str) -> int:
    """The error code of the GOAWAY that a connection without calls gets; 0 is none."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(PREFACE + settings())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                head = await reader.readexactly(HEAD_BYTES)
                payload = await reader.readexactly(int.from_bytes(head[:3]))
                if head[3] == GOAWAY:
                    return int.from_bytes(payload[4:8])
    finally:
        writer.close()


async def test_a_connection_ends_by_its_age_and_its_calls_are_answered(tmp_path: Path) -> None:
    """A call that takes longer than its connection lasts gets its answer; the next finds a new one."""
    gate = Gate()
    options: dict[str, Any] = {"open_model": gate.open_session, "front": "auto"}
    options["max_connection_age_seconds"] = AGE_SECONDS
    async with open_grpc_replica(tmp_path, counting(), **options) as replica:
        call = replica.stub.ModelInfer(turns(3), timeout=PATIENCE_SECONDS)
        assert await asyncio.to_thread(gate.entered.wait, PATIENCE_SECONDS)
        codes = [await goaway_of(replica.grpc_address) for _ in range(2)]
        assert not call.done()
        gate.opened.set()
        assert "counting" == (await call).model_name
        again = await replica.stub.ModelInfer(turns(4), timeout=PATIENCE_SECONDS)
        assert "counting" == again.model_name

    assert [0, 0] == codes


@pytest.mark.parametrize(("asked", "chosen"), [("auto", "grpcio"), ("grpcio", "grpcio")])
def test_the_front_that_ages_connections(asked: str, chosen: str) -> None:
    """A setting is applied: only grpcio can."""
    assert chosen == choose_front(asked, native_available=True, ages=True)


def test_the_native_front_does_not_forget_the_setting() -> None:
    """It refuses it instead."""
    with pytest.raises(FailedPrecondition, match="max_connection_age_seconds"):
        choose_front("native", native_available=True, ages=True)


@pytest.mark.parametrize("seconds", [-1.0, 1e9, float("nan")])
def test_an_age_that_is_none(seconds: float) -> None:
    """Refused at the start."""
    with pytest.raises(ValueError, match="--max-connection-age-seconds"):
        Settings(Path("data"), "redis://a", "a", max_connection_age_seconds=seconds)
