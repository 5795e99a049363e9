"""Follows the rights that a registry tells, for as long as a process runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc

from headrace import errors, status
from headrace.access_feed.saved_rights import read_saved, rights_in, save
from headrace.registry.v1.access_service_pb2 import WatchRightsRequest, WatchRightsResponse
from headrace.security.access import Access
from headrace.tls.peers import Peer

logger = logging.getLogger(__name__)

RIGHTS_FILE = "rights.pb"
"""In the data folder of whoever follows."""

SILENT_SECONDS = 20.0
"""A registry that says nothing for so long, not even that nothing changed, is away."""
PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
_WATCH = "/headrace.registry.v1.AccessService/WatchRights"


class RightsFeed:
    """Gives an `Access` the rights of now. `run` follows; before, those of the file are taken, if there
    is one.

    Cut off from the registry it goes on with what it has: nobody gains or loses a right until it is back,
    but keys that expire, which expire.
    """

    def __init__(
        self, peer: Peer, access: Access, file: Path, silent_seconds: float = SILENT_SECONDS
    ) -> None:
        self._peer = peer
        self._access = access
        self._file = file
        self._silent_seconds = silent_seconds
        self.connected = False
        """Whether the registry tells now what decides."""
        self.revision = 0
        """The revision of the state that the rights are of; 0: none were told yet."""
        self.problem = ""
        """What keeps the registry from telling."""
        self.on_change: Callable[[], None] = lambda: None
        """Told when there are other rights, and when the registry is lost or back."""
        self._parts = WatchRightsResponse()
        if saved := read_saved(file):
            self._take(saved)

    def facts(self) -> dict[str, object]:
        """The facts of readiness: a process without any rights refuses everybody."""
        facts: dict[str, object] = {
            "rights_known": self._access.has_rights,
            "rights_followed": self.connected,
            "rights_revision": self.revision,
        }
        return facts | ({"rights_problem": self.problem} if self.problem else {})

    async def run(self) -> None:
        """Follow for ever; errors of the registry are outlived."""
        failures = 0
        while True:
            try:
                async for message in self._messages():
                    failures = 0
                    await self._heard(message)
                self._lost("the registry ended the watch")
            except (grpc.RpcError, TimeoutError, errors.HeadraceError) as error:
                self._lost(_said(error))
            failures += 1
            await asyncio.sleep(min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * 2 ** min(failures, 5)))

    async def _messages(self) -> AsyncIterator[WatchRightsResponse]:
        method = self._peer.channel().unary_stream(
            _WATCH, WatchRightsRequest.SerializeToString, WatchRightsResponse.FromString
        )
        self._parts = WatchRightsResponse()
        call: Any = method(WatchRightsRequest(), metadata=self._peer.metadata())
        try:
            while True:
                message = await asyncio.wait_for(call.read(), self._silent_seconds)
                if message is grpc.aio.EOF:
                    return
                yield message
        finally:
            call.cancel()

    async def _heard(self, message: WatchRightsResponse) -> None:
        if not self.connected:
            logger.info("following keys and roles", extra={"revision": message.revision})
        self.connected, self.problem = True, ""
        if message.unchanged:
            self.revision = message.revision
            return
        self._parts.MergeFrom(message)
        if message.more:
            return
        whole, self._parts = self._parts, WatchRightsResponse()
        whole.more = False
        self._take(whole)
        self.on_change()
        await asyncio.to_thread(save, self._file, whole)

    def _take(self, message: WatchRightsResponse) -> None:
        self._access.rights = rights_in(message)
        self.revision = message.revision

    def _lost(self, problem: str) -> None:
        if self.connected or problem != self.problem:
            logger.warning(
                "keys and roles are as they were at revision %d: the registry does not tell of changes "
                "(%s)",
                self.revision,
                problem,
            )
        self.connected, self.problem = False, problem
        self.on_change()


def _said(error: Exception) -> str:
    if isinstance(error, grpc.RpcError):
        return status.error_from_rpc(error).message
    return str(error) or "it says nothing"
