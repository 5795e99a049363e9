"""Bytes on the HTTP ports that are no HTTP: a JSON answer, the connection's end, and a quiet log."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.rpc.rest_fixtures import ECHO, GOOD, open_http

START = f"POST {ECHO} HTTP/1.1\r\nHost: x\r\n".encode()

MALFORMED = {
    "no request line": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two lengths": START + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "a negative length": START + b"Content-Length: -5\r\n\r\n",
    "a length of letters": START + b"Content-Length: five\r\n\r\n",
    "a header without a name": START + b": x\r\n\r\n",
    "too many headers": START + b"".join(b"a%d: b\r\n" % i for i in range(5000)) + b"\r\n",
    "a null in a header": START + b"a: \0\r\n\r\n",
}
TOO_LARGE = {
    "a header that is too long": START + b"a: " + b"b" * 100_000 + b"\r\n\r\n",
    "a path that is too long": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
}


async def answer_to(address: str, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to these bytes, read to the connection's end."""
    host, port = address.split(":")
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        *((sent, (400, "BAD_REQUEST")) for sent in MALFORMED.values()),
        *((sent, (431, "REQUEST_HEADER_FIELDS_TOO_LARGE")) for sent in TOO_LARGE.values()),
    ],
    ids=[*MALFORMED, *TOO_LARGE],
)
async def test_malformed_http(
    sent: bytes, expected: tuple[int, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no HTTP is refused in JSON, one record at level debug, and the next caller is served."""
    async with open_http(tmp_path) as http:
        with caplog.at_level(logging.DEBUG, "headrace"):
            status, headers, body = await answer_to(http.server.address, sent)
        good, _ = await http.post(GOOD)
    answer: dict[str, Any] = json.loads(body)
    assert (*expected, 200) == (status, answer["reason"], good)
    assert answer["error"]
    assert "\n" not in answer["error"]
    assert headers["content-type"].startswith("application/json")
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    debug = [
        record for record in caplog.records if record.name == "headrace.service.http.connection"
    ]
    assert ([], 1) == (records, len(debug))


@pytest.mark.parametrize(
    "body",
    [
        b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n",
        b"Content-Length: 100\r\n\r\nabc",
    ],
)
async def test_broken_bodies_leave_no_errors(
    body: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A body that breaks off or is framed wrongly logs no warning and no error."""
    async with open_http(tmp_path) as http:
        host, port = http.server.address.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(START + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        good, _ = await http.post(GOOD)
    assert 200 == good
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]
