"""Asks one Envoy by its socket for operators."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httptools

from headrace import errors

_SECONDS = 5.0


class EnvoyAdmin:
    """What an Envoy can be asked and told, by a socket that only this account may use."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    async def is_ready(self) -> bool:
        """Return whether it serves: it knows its replicas and certificates, and does not drain."""
        try:
            status, _ = await self._ask("GET", "/ready")
        except errors.Unavailable:
            return False
        return status == 200

    async def metrics(self) -> bytes:
        """Its metrics in Prometheus' text format. Raises Unavailable."""
        _, body = await self._ask("GET", "/stats/prometheus?usedonly")
        return body

    async def requests_in_flight(self) -> int:
        """How many requests of callers are not answered yet. Raises Unavailable."""
        _, body = await self._ask("GET", "/stats?filter=^http.edge.downstream_rq_active$")
        return sum(int(line.rpartition(b":")[2]) for line in body.splitlines() if b":" in line)

    async def drain(self) -> None:
        """Have callers go elsewhere: connections end with what is in flight. Raises Unavailable."""
        await self._ask("POST", "/drain_listeners?graceful")

    async def open_logs_anew(self) -> None:
        """Open the access log's file again, which was moved away. Raises Unavailable."""
        await self._ask("POST", "/reopen_logs")

    async def _ask(self, method: str, path: str) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(_SECONDS):
                return await _exchange(self.socket, method, path)
        except (OSError, TimeoutError, httptools.HttpParserError) as error:
            raise errors.Unavailable(
                "ENVOY_SILENT", f"Envoy does not answer at {self.socket} ({error or 'too slow'})"
            ) from error


class _Answer:
    """What an HTTP parser found."""

    def __init__(self) -> None:
        self.body = bytearray()

    def on_body(self, part: bytes) -> None:
        """Take a part of the body."""
        self.body += part


async def _exchange(socket: Path, method: str, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_unix_connection(socket)
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        writer.write(head.encode())
        while part := await reader.read(1 << 20):
            parser.feed_data(part)
        return parser.get_status_code(), bytes(answer.body)
    finally:
        writer.close()
