"""What REST requests may hold together, what is refused before it runs, and how refusals are counted."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from headrace.datatypes import Datatype
from headrace.state.records import VersionRecord
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.domain.scheduling.runner import Runner
from tests.rpc.rest_fixtures import ECHO, GOOD, Http, echo, open_http
from tests.rpc.test_rest_hostile import GatedRunner
from tests.rpc.test_rest_requests import HEADER_LENGTH

BIG = json.dumps(
    {"inputs": [{"name": "x", "datatype": "FP32", "shape": [20_000], "data": [1] * 20_000}]}
).encode()


async def test_all_bodies_together(tmp_path: Path) -> None:
    """What is over the limit of all bodies is refused by its name, and room comes back with answers."""
    asked, gate = threading.Event(), threading.Event()

    def open_gated(path: Path, record: VersionRecord) -> Runner:
        return GatedRunner(open_session(path, record), asked, gate)

    limit = len(BIG) + 1000
    async with open_http(tmp_path, open_model=open_gated, max_bytes_in_flight=limit) as http:
        running = asyncio.create_task(http.post(BIG))
        await asyncio.to_thread(asked.wait, 10)
        status, answer = await http.post(BIG)
        packed, _ = await http.post(gzip.compress(BIG), headers={"Content-Encoding": "gzip"})
        gate.set()
        first, _ = await running
        again, _ = await http.post(BIG)
    assert (429, "REPLICA_OVERLOADED") == (status, answer["reason"])
    assert {"limit": str(limit), "setting": "max_http_bytes_in_flight"} == answer["facts"]
    assert (429, 200, 200) == (packed, first, again)


async def test_callers_that_go_away_give_back_what_they_held(tmp_path: Path) -> None:
    """A client that disconnects in the middle of its body, or while it waits, holds nothing any more."""
    async with open_http(tmp_path, max_bytes_in_flight=len(BIG) + 10) as http:
        for _ in range(5):
            await drop_halfway(http)
        statuses = []

        async def is_served() -> bool:
            statuses.append((await http.post(BIG))[0])
            return statuses[-1] == 200

        async with asyncio.timeout(10):
            while not await is_served():  # noqa: ASYNC110 (the server has no such event)
                await asyncio.sleep(0.001)
    assert {200, 429} >= set(statuses)


async def drop_halfway(http: Http) -> None:
    """Send half of a body, then close."""
    host, port = http.server.address.split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST {ECHO} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BIG)}\r\n\r\n".encode())
    writer.write(BIG[: len(BIG) // 2])
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("datatype", [Datatype.FP16, Datatype.BF16])
async def test_outputs_without_json_are_refused_before_the_run(
    datatype: Datatype, tmp_path: Path
) -> None:
    """A request whose answer JSON cannot carry costs no run; asked for as binary data it is served."""
    tensor = {"name": "x", "datatype": datatype, "shape": [1]}
    head: dict[str, Any] = {"inputs": [tensor | {"parameters": {"binary_data_size": 2}}]}
    path = f"/v2/models/echo-{datatype}/infer"
    async with open_http(tmp_path, echo(datatype)) as http:
        text = json.dumps(head).encode()
        status, answer = await http.post(text + b"\0\0", path, {HEADER_LENGTH: str(len(text))})
        totals = http.server.ingress.book.of(f"echo-{datatype}", 1).totals()
        binary = json.dumps(head | {"parameters": {"binary_data_output": True}}).encode()
        response, _ = await http.post_for_bytes(
            binary + b"\0\0", path, {HEADER_LENGTH: str(len(binary))}
        )
    assert (400, "DATATYPE_NOT_IN_JSON", 0) == (status, answer["reason"], totals.executions)
    assert 200 == response.status


async def test_refusals_are_counted(tmp_path: Path) -> None:
    """A request that is refused before it reached a version counts under its model, or under none."""
    async with open_http(tmp_path) as http:
        await http.post(b"{")
        await http.post(b"abc", headers={"Content-Encoding": "br"})
        await http.post(b"{", "/v2/models/echo-FP32/generate")
        await http.post(b"{", "/v2/models/other/infer")
        await http.post(GOOD, "/v2/models/other/infer")
        book = http.server.ingress.book
        counted = {key: dict(of.totals().errors) for key, of in book.items() if key[1] == 0}
    assert {
        ("echo-FP32", 0): {"MALFORMED_JSON": 2, "ENCODING_UNSUPPORTED": 1},
        ("", 0): {"MALFORMED_JSON": 1, "MODEL_NOT_FOUND": 1},
    } == counted


async def test_statistics_by_alias(tmp_path: Path) -> None:
    """Statistics are there under every name that leads to a version."""
    async with open_http(tmp_path) as http:
        await http.post(GOOD)
        for path in ("echo-FP32@champion", "echo-FP32/versions/champion", "echo-FP32/versions/1"):
            status, answer = await http.get(f"/v2/models/{path}/stats")
            (statistics,) = answer["model_stats"]
            assert (200, "echo-FP32", "1") == (status, statistics["name"], statistics["version"])
            assert 1 == statistics["inference_stats"]["success"]["count"]
        status, answer = await http.get("/v2/models/echo-FP32@nobody/stats")
    assert (404, "ALIAS_NOT_FOUND") == (status, answer["reason"])


async def test_large_json_in_threads(tmp_path: Path) -> None:
    """JSON that is read and written in threads gives the same answers and errors as on the loop."""
    values = [n / 7 for n in range(40_000)]
    tensor: dict[str, Any] = {"name": "x", "datatype": "FP64", "shape": [40_000], "data": values}
    path = "/v2/models/echo-FP64/infer"
    async with open_http(tmp_path, echo(Datatype.FP64)) as http:
        status, answer = await http.post({"inputs": [tensor]}, path)
        wrong, refused = await http.post({"inputs": [tensor | {"shape": [39_999]}]}, path)
        broken, malformed = await http.post(json.dumps({"inputs": [tensor]})[:-1].encode(), path)
    assert (200, values) == (status, answer["outputs"][0]["data"])
    assert (400, "DATA_INVALID", 400, "MALFORMED_JSON") == (
        wrong,
        refused["reason"],
        broken,
        malformed["reason"],
    )
