"""OpenAI's API under attack: what is taken, what is refused and as what, and that nothing keeps a place."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from headrace import AsyncClient
from tests.hostile.openai_rows import CHAT, COMPLETIONS, HELLO, MODEL, PROMPT, ROWS, Row, encoded
from tests.hostile.target import Target
from tests.language.tiny_models import TinyModel

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("running_target", ["native"], indirect=True),
]

SECONDS = 20.0
DISCONNECTS = 40
MANY_DISCONNECTS = 1000
_KV = re.compile(rf'headrace_inference_kv_tokens{{model="{MODEL}",version="1"}} (\d+)')


@pytest.fixture
def address(target: Target, tiny_llama: TinyModel) -> str:
    """Where the target speaks REST, with a tiny language model pushed to it."""
    if "openai" not in target.pushed:
        asyncio.run(_push(target, tiny_llama.folder))
        target.pushed.add("openai")
    return target.http_address("inference")


async def _push(target: Target, folder: Path) -> None:
    async with AsyncClient(
        registry=target.suite.registry, inference=target.suite.inference
    ) as client:
        version = await client.push(MODEL, folder, timeout_seconds=60)
        await client.wait_until_ready(MODEL, version.number, timeout_seconds=60)
        await client.alias(MODEL, "best", version.number)


def asked(address: str, path: str, body: bytes) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    connection = http.client.HTTPConnection(address, timeout=SECONDS)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


def outcome(address: str, path: str, body: bytes) -> str:
    """The status, and of an error its reason and the member at fault."""
    status, answer = asked(address, path, body)
    error = answer.get("error") or {}
    return f"{status} {error.get('reason', '')} {error.get('param') or ''}".strip()


def test_each_request_has_its_status(target: Target, address: str) -> None:
    """Good ones are answered; each other is refused as what it is, by the name of what is wrong."""
    wrong = [_difference(address, row) for row in ROWS]
    assert [] == [line for line in wrong if line]


def _difference(address: str, row: Row) -> str:
    label, path, body, expected = row
    found = outcome(address, path, body)
    return "" if found == expected else f"{label}: {found} instead of {expected}"


def test_every_refusal_has_openais_form(target: Target, address: str) -> None:
    """Clients look at message, type, param and code."""
    for _, path, body, expected in ROWS:
        if expected != "200" and len(body) < 2**20:
            _, answer = asked(address, path, body)
            error = answer["error"]
            assert {"message", "type", "param", "code", "reason"} <= set(error)
            assert isinstance(error["message"], str)
            assert isinstance(error["code"], str)


def kv_tokens(target: Target) -> int:
    """The tokens whose keys and values are kept for sequences."""
    connection = http.client.HTTPConnection(target.http_address("metrics"), timeout=SECONDS)
    connection.request("GET", "/metrics")
    found = _KV.search(connection.getresponse().read().decode())
    connection.close()
    assert found
    return int(found[1])


def wait_until_free(target: Target) -> None:
    """Wait until no sequence has a place."""
    until = time.monotonic() + SECONDS
    while kv_tokens(target):
        assert time.monotonic() < until, "places are still taken"
        time.sleep(0.02)


def leave(address: str, path: str, document: dict[str, Any], how: int) -> None:
    """Ask for a stream, read a little of it, and go: by closing, by a reset, or by half."""
    host, _, port = address.rpartition(":")
    body = encoded(document | {"stream": True, "max_tokens": 100, "ignore_eos": True})
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=SECONDS) as plain:
        plain.sendall(head.encode() + body)
        if how % 4:
            assert plain.recv(1024).startswith(b"HTTP/1.1 200")
        if how % 3 == 1:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how % 3 == 2:
            plain.shutdown(socket.SHUT_WR)


def disconnect(target: Target, address: str, times: int) -> None:
    """Leave in the midst so many times, each time another way."""
    for number in range(times):
        path, document = ((CHAT, HELLO), (COMPLETIONS, PROMPT))[number % 2]
        leave(address, path, document, number)
    wait_until_free(target)
    assert "200" == outcome(address, COMPLETIONS, encoded(PROMPT))


def test_whoever_leaves_keeps_no_place(target: Target, address: str) -> None:
    """Streams that were left end, and what they kept is free."""
    disconnect(target, address, DISCONNECTS)


@pytest.mark.toolchain
def test_a_thousand_who_leave_keep_no_place(target: Target, address: str) -> None:
    """However many."""
    disconnect(target, address, MANY_DISCONNECTS)
