"""A service that another service calls: the channel to it, and what calls bring."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import grpc

from headrace import addresses
from headrace.tls.clients import ClientTls, Current, in_use, name_options
from headrace.tls.settings import PeerTlsSettings
from headrace.tls.token_file import TokenFile, require_private_way

Metadata = tuple[tuple[str, str], ...]


class Peer(Protocol):
    """A service that is called."""

    def channel(self) -> grpc.aio.Channel:
        """The channel for a call that begins now."""

    def metadata(self) -> Metadata:
        """What a call brings. Raises FailedPrecondition (TOKEN_FILE_UNUSABLE)."""


@dataclass(frozen=True, slots=True)
class PlainPeer:
    """Calls over a channel that somebody else opened, and brings nothing."""

    opened: grpc.aio.Channel

    def channel(self) -> grpc.aio.Channel:
        """The channel."""
        return self.opened

    def metadata(self) -> Metadata:
        """Nothing."""
        return ()


class OpenPeer:
    """Calls one address, over TLS where files say so. `open_peer` opens it."""

    def __init__(
        self,
        address: str,
        tls: ClientTls | None,
        token: TokenFile | None,
        options: Sequence[tuple[str, int | str]],
    ) -> None:
        self.address = address
        self._target = addresses.without_scheme(address)
        self._tls = tls
        self._token = token
        self._options = list(options)
        self._opened: tuple[Current | None, grpc.aio.Channel] | None = None
        self._retired: list[grpc.aio.Channel] = []

    def channel(self) -> grpc.aio.Channel:
        """The channel for a call that begins now: another one after the files have changed."""
        current = None if self._tls is None else self._tls.current()
        if self._opened is None or self._opened[0] is not current:
            if self._opened is not None:
                self._retired = [*in_use(self._retired), self._opened[1]]
            self._opened = current, self._open(current)
        return self._opened[1]

    def _open(self, current: Current | None) -> grpc.aio.Channel:
        if current is None:
            return grpc.aio.insecure_channel(self._target, options=self._options)
        return grpc.aio.secure_channel(self._target, current.credentials, options=self._options)

    def metadata(self) -> Metadata:
        """What a call brings. Raises FailedPrecondition (TOKEN_FILE_UNUSABLE)."""
        return () if self._token is None else self._token.metadata()

    async def close(self) -> None:
        """End all calls."""
        for channel in [*self._retired, *([self._opened[1]] if self._opened else [])]:
            await channel.close()


@asynccontextmanager
async def open_peer(
    address: str, settings: PeerTlsSettings, options: Sequence[tuple[str, int | str]] = ()
) -> AsyncIterator[OpenPeer]:
    """A peer that can be called while inside.

    Raises FailedPrecondition where the files of TLS or the token cannot be used, and (TOKEN_IN_PLAINTEXT)
    where the token would be readable on the way.
    """
    tls = _peer_tls(address, settings)
    token = None
    if settings.token_file is not None:
        require_private_way(address, is_tls=tls is not None)
        token = TokenFile(settings.token_file)
        token.metadata()
    more = [addresses.NO_PROXY, *name_options(settings.peer_tls_name)]
    peer = OpenPeer(address, tls, token, [*options, *more])
    try:
        peer.channel()
        yield peer
    finally:
        await peer.close()


def _peer_tls(address: str, settings: PeerTlsSettings) -> ClientTls | None:
    named = settings.peer_tls_ca is not None or settings.peer_tls_cert is not None
    if not addresses.is_over_tls(address, otherwise=named):
        return None
    return ClientTls(settings.peer_tls_ca, settings.peer_tls_cert, settings.peer_tls_key)
