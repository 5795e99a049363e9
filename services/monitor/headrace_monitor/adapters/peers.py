"""Asks the other monitors of the suite, to which other replicas report."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import grpc

from headrace.errors import HeadraceError
from headrace.tls.peers import Peer, open_peer
from headrace_monitor.domain.queries.query_engine import Query, Statistics
from headrace_monitor.domain.queries.shared_questions import PeerAnswer
from headrace_monitor.domain.queries.time_ranges import TimeRange
from headrace_monitor.settings import Settings

logger = logging.getLogger(__name__)

METHOD = "/headrace.monitor.v1.PeerService/QueryTallies"

ASK_SECONDS = 5.0
"""How long a peer may take; one that takes longer is away."""

PAUSE_SECONDS = 2.0
"""A peer that did not answer in time is asked no more for so long: each question would wait for it."""

_OPTIONS = [
    ("grpc.max_receive_message_length", 2**27),
    ("grpc.max_reconnect_backoff_ms", 1000),
]

Write = Callable[[Query, Sequence[TimeRange]], bytes]
Read = Callable[[bytes, Sequence[TimeRange]], Sequence[Statistics]]


class PeerMonitors:
    """Calls each of them with every question, which `write` puts into a message; `read` reads answers."""

    def __init__(self, peers: Mapping[str, Peer], write: Write, read: Read) -> None:
        self._peers = peers
        self._write = write
        self._read = read
        self._paused_until = dict.fromkeys(peers, 0.0)
        self._away: set[str] = set()

    async def ask(self, query: Query, steps: Sequence[TimeRange]) -> Sequence[PeerAnswer]:
        """Ask each of them, at the same time."""
        request = self._write(query, steps)
        found = await asyncio.gather(*(self._ask(name, request) for name in self._peers))
        return [
            PeerAnswer(name, None if told is None else functools.partial(self._read, told, steps))
            for name, told in zip(self._peers, found, strict=True)
        ]

    async def _ask(self, name: str, request: bytes) -> bytes | None:
        now = asyncio.get_running_loop().time
        if now() < self._paused_until[name]:
            return None
        try:
            peer = self._peers[name]
            method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
            method = peer.channel().unary_unary(METHOD)
            answer = await method(request, timeout=ASK_SECONDS, metadata=peer.metadata())
        except (grpc.aio.AioRpcError, HeadraceError) as error:
            self._note(name, error)
            if isinstance(error, grpc.aio.AioRpcError) and _is_slow(error):
                self._paused_until[name] = now() + PAUSE_SECONDS
            return None
        self._note(name)
        return answer

    def _note(self, name: str, error: Exception | None = None) -> None:
        """Say once that a peer went away, and once that it is back."""
        if error is not None and name not in self._away:
            logger.warning("a peer does not answer: %s", error, extra={"monitor": name})
            self._away.add(name)
        elif error is None and name in self._away:
            logger.info("a peer answers again", extra={"monitor": name})
            self._away.discard(name)


def _is_slow(error: grpc.aio.AioRpcError) -> bool:
    return error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@asynccontextmanager
async def open_peers(settings: Settings, write: Write, read: Read) -> AsyncIterator[PeerMonitors]:
    """The peers that the settings name, which can be asked while inside.

    Raises FailedPrecondition where the files of TLS or the token cannot be used.
    """
    async with AsyncExitStack() as stack:
        peers = {
            address: await stack.enter_async_context(open_peer(address, settings, _OPTIONS))
            for address in settings.peer_addresses
        }
        yield PeerMonitors(peers, write, read)
