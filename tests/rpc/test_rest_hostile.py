"""The REST form under clients that are hostile, broken or gone."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headrace.service.http import server as http_server
from headrace.state.records import VersionRecord
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.domain.scheduling.instance_pool import InstancePool
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import Runner
from tests.rpc.rest_fixtures import ECHO, GOOD, MAX_BODY_BYTES, open_http

PACK: dict[str, Any] = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("encoding", PACK)
async def test_packed_requests(encoding: str, tmp_path: Path) -> None:
    """A packed request is served; one that unpacks to more than the limit is refused, and names it."""
    bomb = PACK[encoding](bytes(64 * MAX_BODY_BYTES))
    assert len(bomb) < MAX_BODY_BYTES
    packed = PACK[encoding](json.dumps(GOOD).encode())
    async with open_http(tmp_path) as http:
        served, _ = await http.post(packed, headers={"Content-Encoding": encoding.upper()})
        status, answer = await http.post(bomb, headers={"Content-Encoding": encoding})
    assert (200, 400, "BODY_TOO_LARGE") == (served, status, answer["reason"])
    assert {"limit": str(MAX_BODY_BYTES), "setting": "max_http_body_bytes"} == answer["facts"]


async def test_chunked_body_over_the_limit(tmp_path: Path) -> None:
    """A body without a length is cut off at the limit."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(MAX_BODY_BYTES // 20)

    async with open_http(tmp_path) as http, aiohttp.ClientSession() as session:
        url = http.server.url(ECHO)
        async with session.post(url, data=pieces()) as response:
            answer = await response.json()
    assert (400, "BODY_TOO_LARGE") == (response.status, answer["reason"])


@pytest.mark.parametrize(
    "sent",
    [
        b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"x-request-id: \xff\xfe\r\nx-headrace-actor: \xff\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
async def test_broken_http(sent: bytes, tmp_path: Path) -> None:
    """Bytes that are no proper HTTP get an answer of the 400s, and the server goes on."""
    async with open_http(tmp_path) as http:
        host, port = http.server.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST {ECHO} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode() + sent)
        first_line = await reader.readline()
        writer.close()
        good, _ = await http.post(GOOD)
    assert b"HTTP/1.1 400" in first_line.replace(b"HTTP/1.0", b"HTTP/1.1")
    assert 200 == good


async def test_a_body_that_stalls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that stops in the middle of its body is answered, not waited for."""
    monkeypatch.setattr(http_server, "SILENCE_SECONDS", 0.05)
    async with open_http(tmp_path) as http:
        host, port = http.server.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST {ECHO} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab".encode())
        answer = await reader.readuntil(b"}")
        writer.close()
    assert answer.startswith(b"HTTP/1.1 504")
    assert b"BODY_STALLED" in answer


class GatedRunner:
    """A model that says when it is asked to run, and runs once its gate is open."""

    def __init__(self, runner: Runner, asked: threading.Event, gate: threading.Event) -> None:
        self._runner = runner
        self._asked = asked
        self._gate = gate
        self.provider, self.memory_bytes = runner.provider, runner.memory_bytes
        self.plan, self.labels = runner.plan, runner.labels
        self.graph, self.remark = runner.graph, runner.remark
        self.batching_obstacle = runner.batching_obstacle

    def new_handle(self) -> Any:
        """The model's own."""
        return self._runner.new_handle()

    def run(self, inputs: Any, handle: Any = None) -> list[Array]:
        """Wait for the gate, then run."""
        self._asked.set()
        assert self._gate.wait(30)
        return self._runner.run(inputs, handle)

    def run_alone(self, inputs: Any, handle: Any = None) -> list[Array]:
        """The same."""
        return self.run(inputs, handle)

    def rest(self) -> None:
        """Let the model do so."""
        self._runner.rest()

    def probe(self) -> str:
        """The model's own."""
        return self._runner.probe()

    def close(self) -> None:
        """Close the model."""
        self._runner.close()


async def until(condition: Callable[[], bool]) -> None:
    """Yield to the server until a condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (the server has no such event)
            await asyncio.sleep(0.001)


async def test_a_client_that_goes_away(tmp_path: Path) -> None:
    """A request whose client disconnected while it waited is dropped, not run."""
    asked, gate = threading.Event(), threading.Event()

    def open_gated(path: Path, record: VersionRecord) -> Runner:
        return GatedRunner(open_session(path, record), asked, gate)

    async with open_http(tmp_path, open_model=open_gated) as http:
        served = http.server.ingress.reconciler.table.find("echo-FP32", "")
        running = asyncio.create_task(http.post(GOOD))
        await asyncio.to_thread(asked.wait, 10)
        leaving = asyncio.create_task(http.post(GOOD))
        await until(lambda: served.scheduler.waiting == 1)
        leaving.cancel()
        scheduler = served.scheduler
        assert isinstance(scheduler, InstancePool)
        await until(lambda: scheduler._waiting[0].cancelled)
        gate.set()
        status, _ = await running
        await until(lambda: served.scheduler.waiting == 0)
    totals = served.statistics.totals()
    assert (200, 1, {"CANCELLED": 1}) == (status, totals.successes, dict(totals.errors))
