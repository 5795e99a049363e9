"""Calls of the registry: by the monitor itself, or on behalf of whoever called the monitor."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc

from headrace import addresses, status
from headrace.client.answers import malformed
from headrace.client.headers import as_ascii, reason_metadata
from headrace.client.methods import Method, Request, Response, Undecodable
from headrace.security import callers
from headrace.tls.peers import Metadata, Peer, open_peer
from headrace.tls.token_file import AUTHORIZATION, require_private_way
from headrace_monitor.domain.catalog.on_behalf import OnBehalf
from headrace_monitor.settings import Settings

ASK_SECONDS = 10.0
"""How long a call may take; a registry that takes longer is away."""

STREAM_SECONDS = 120.0
"""How long a file may take to be read for a caller."""

MAX_MESSAGE_BYTES = 16 * 2**20


def _metadata(caller: OnBehalf) -> Metadata:
    """What a call for somebody brings: the registry asks nobody but him."""
    proof = ((AUTHORIZATION, as_ascii(caller.authorization)),) if caller.authorization else ()
    named = ((callers.ACTOR_KEY, as_ascii(caller.actor)),) if caller.actor else ()
    known = (("x-request-id", as_ascii(caller.request_id)),) if caller.request_id else ()
    return (*proof, *named, *reason_metadata(caller.reason), *known)


class RegistryCalls:
    """Calls the registry. `own` has the monitor's credentials, `others` has none but those of callers."""

    def __init__(self, own: Peer, others: Peer, address: str, *, is_tls: bool) -> None:
        self._own = own
        self._others = others
        self._address = address
        self.is_tls = is_tls
        """Whether the suite is called over TLS."""

    async def ask(
        self, method: Method[Request, Response], request: Request, seconds: float = ASK_SECONDS
    ) -> Response:
        """The answer to the monitor's own question. Raises the registry's errors, and Unavailable."""
        return await _asked(self._own, method, request, self._own.metadata(), seconds)

    async def ask_for(
        self, caller: OnBehalf, method: Method[Request, Response], request: Request
    ) -> Response:
        """The answer to what a caller asks: it is he whose rights count.

        Raises the registry's errors, and FailedPrecondition (TOKEN_IN_PLAINTEXT).
        """
        self._check_way(caller)
        return await _asked(self._others, method, request, _metadata(caller), ASK_SECONDS)

    async def watch(
        self, method: Method[Request, Response], request: Request
    ) -> AsyncGenerator[Response, None]:
        """The messages of a stream, for as long as the registry sends any. Raises its errors."""
        async with aclosing(
            _streamed(self._own, method, request, self._own.metadata(), None)
        ) as messages:
            async for message in messages:
                yield message

    async def watch_for(
        self, caller: OnBehalf, method: Method[Request, Response], request: Request
    ) -> AsyncGenerator[Response, None]:
        """The messages of a stream that a caller asks for, as `ask_for`, within STREAM_SECONDS."""
        self._check_way(caller)
        async with aclosing(
            _streamed(self._others, method, request, _metadata(caller), STREAM_SECONDS)
        ) as messages:
            async for message in messages:
                yield message

    def _check_way(self, caller: OnBehalf) -> None:
        if caller.authorization:
            require_private_way(self._address, is_tls=self.is_tls)


async def _asked(
    peer: Peer,
    method: Method[Request, Response],
    request: Request,
    metadata: Metadata,
    seconds: float,
) -> Response:
    called: Any = peer.channel().unary_unary(method.path, method.serialize, method.parse)
    try:
        answer: Response | Undecodable = await called(request, timeout=seconds, metadata=metadata)
    except grpc.RpcError as error:
        raise status.error_from_rpc(error) from error
    return _whole(answer)


async def _streamed(
    peer: Peer,
    method: Method[Request, Response],
    request: Request,
    metadata: Metadata,
    seconds: float | None,
) -> AsyncGenerator[Response, None]:
    opened = peer.channel().unary_stream(method.path, method.serialize, method.parse)
    call: Any = opened(request, timeout=seconds, metadata=metadata)
    try:
        while (message := await call.read()) is not grpc.aio.EOF:
            yield _whole(message)
    except grpc.RpcError as error:
        raise status.error_from_rpc(error) from error
    finally:
        call.cancel()


def _whole(answer: Response | Undecodable) -> Response:
    if isinstance(answer, Undecodable):
        raise malformed("its bytes are no message of its type")
    return answer


@asynccontextmanager
async def open_registry_calls(settings: Settings) -> AsyncIterator[RegistryCalls]:
    """Calls of the registry while inside; nothing is connected before it is used.

    Raises FailedPrecondition where the files of TLS or the token cannot be used.
    """
    address = settings.registry_address
    named = settings.peer_tls_ca is not None or settings.peer_tls_cert is not None
    is_tls = addresses.is_over_tls(address, otherwise=named)
    if is_tls:
        address = f"grpcs://{addresses.without_scheme(address)}"
    # with our certificate a caller's token would be two identities in one call
    bare = replace(settings, peer_tls_cert=None, peer_tls_key=None, token_file=None)
    options = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", 20_000),
    ]
    async with (
        open_peer(address, settings, options) as own,
        open_peer(address, bare, options) as others,
    ):
        yield RegistryCalls(own, others, address, is_tls=is_tls)
