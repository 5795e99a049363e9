"""Calls replicas over HTTP: one request on a connection of its own, its answer read piece by piece."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import httptools

from headrace import addresses, errors
from headrace.tls.settings import PeerTlsSettings
from headrace.tls.token_file import require_private_way

CONNECT_SECONDS = 5.0
PIECE_BYTES = 65_536
_ONE_LINE = str.maketrans({"\r": "?", "\n": "?", "\0": "?"})


class ReplicaAnswer:
    """An answer as it comes: its status, then its body."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.status = 0
        self.content_type = ""
        self._reader = reader
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._has_head = self._is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header from the parser."""
        if name.lower() == b"content-type":
            self.content_type = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is there."""
        self.status, self._has_head = self._parser.get_status_code(), True

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._is_whole = True

    async def read_head(self) -> None:
        """Wait for the status. Raises Unavailable where there is no answer."""
        while not self._has_head:
            await self._read()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body, piece by piece. Raises Unavailable where it breaks off."""
        while True:
            pieces, self._pieces = self._pieces, []
            for piece in pieces:
                yield piece
            if self._is_whole:
                return
            if not pieces:
                await self._read()

    async def body(self, most: int) -> bytes:
        """The whole body. Raises ResourceExhausted (ANSWER_TOO_LARGE) where it has more bytes."""
        parts, size = [], 0
        async for piece in self.pieces():
            size += len(piece)
            if size > most:
                raise errors.ResourceExhausted(
                    "ANSWER_TOO_LARGE",
                    f"the answer has more than {most} bytes: too much to be shown; call the replica itself",
                    facts={"limit": str(most)},
                )
            parts.append(piece)
        return b"".join(parts)

    async def _read(self) -> None:
        data = await self._reader.read(PIECE_BYTES)
        try:
            if data:
                self._parser.feed_data(data)
                return
        except httptools.HttpParserError as error:
            raise _away(f"what it answered is not HTTP ({error})") from error
        raise _away("it ended the connection before its answer was whole")


class ReplicaCalls:
    """Calls replicas with the credentials of callers, over TLS where the suite has it."""

    def __init__(self, settings: PeerTlsSettings, *, is_tls: bool) -> None:
        self._settings = settings
        self._is_tls = is_tls

    @asynccontextmanager
    async def post(
        self, address: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[ReplicaAnswer]:
        """The answer of a replica to a request, its head already there; leaving ends the connection.

        Raises Unavailable where it cannot be reached, FailedPrecondition (TOKEN_IN_PLAINTEXT).
        """
        if headers.get("authorization"):
            require_private_way(address, is_tls=self._is_tls)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await self._connect(address)
        except (OSError, TimeoutError) as error:
            raise _away(str(error) or "it does not answer") from error
        try:
            writer.write(_head(path, headers, len(body)))
            writer.write(body)
            await writer.drain()
            answer = ReplicaAnswer(reader)
            await answer.read_head()
            yield answer
        except ConnectionError as error:
            raise _away(str(error)) from error
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _connect(self, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if address.startswith("unix:"):
            return await asyncio.open_unix_connection(addresses.unix_path(address))
        host, port = addresses.split(addresses.reachable(address))
        if not self._is_tls:
            return await asyncio.open_connection(host, int(port))
        context = ssl.create_default_context(
            cafile=str(self._settings.peer_tls_ca) if self._settings.peer_tls_ca else None
        )
        name = self._settings.peer_tls_name or host
        return await asyncio.open_connection(host, int(port), ssl=context, server_hostname=name)


def _head(path: str, headers: Mapping[str, str], size: int) -> bytes:
    fixed = {
        "Host": "replica",
        "Connection": "close",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "Content-Length": str(size),
    }
    lines = [f"{name}: {value}" for name, value in (fixed | dict(headers)).items()]
    head = [line.translate(_ONE_LINE) for line in (f"POST {path} HTTP/1.1", *lines)]
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1", "replace")


def _away(problem: str) -> errors.Unavailable:
    return errors.Unavailable(
        "REPLICA_UNREACHABLE",
        f"the replica could not be asked: {problem}; try again, another may answer",
        retry_after_seconds=1.0,
    )
