"""Channels to addresses, opened when they are first called, and methods that are called at one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from headrace import addresses
from headrace.client import forking
from headrace.client.methods import Method, Request, Response, Undecodable
from headrace.client.settings import ClientSettings
from headrace.tls.clients import ClientTls, Current, in_use, name_options

if TYPE_CHECKING:
    Unary = grpc.aio.UnaryUnaryMultiCallable[Request, Response | Undecodable]
    Watch = grpc.aio.UnaryStreamMultiCallable[Request, Response | Undecodable]
    Upload = grpc.StreamUnaryMultiCallable[Request, Response | Undecodable]

MAX_MESSAGE_BYTES = 2**31 - 1
"""What the services accept: the largest message that gRPC's length field allows."""

_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A service that comes back is found within the retries of a call; gRPC's own first pause is 1 s.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # How long it may take to connect, over any distance; gRPC's own 20 s would hide a server that hangs.
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


def _options(address: str) -> list[tuple[str, int | str]]:
    options = [*_OPTIONS, *addresses.proxy_options(address)]
    if addresses.is_name(address):  # of one machine, or of many: then they are all called
        options.append(("grpc.lb_policy_name", "round_robin"))
    return options


class Channels:
    """The open channels; `close` ends them.

    Files of TLS that change have later calls go over a new channel; calls under way stay on theirs.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._tls: ClientTls | None = None
        self._asyncio: dict[str, tuple[Current | None, grpc.aio.Channel]] = {}
        self._blocking: dict[str, tuple[Current | None, grpc.Channel]] = {}
        self._retired: list[grpc.aio.Channel] = []
        forking.note_connections(self)

    @property
    def connected(self) -> bool:
        """Return whether any channel is open."""
        return bool(self._asyncio or self._blocking)

    def asyncio(self, address: str) -> grpc.aio.Channel:
        """The channel of grpc.aio to this address."""
        credentials, opened = self._credentials(address), self._asyncio.get(address)
        if opened is None or opened[0] is not credentials:
            if opened is not None:
                self._retired = [*in_use(self._retired), opened[1]]
            opened = self._asyncio[address] = credentials, self._open(address, credentials)
        return opened[1]

    def _open(self, address: str, current: Current | None) -> grpc.aio.Channel:
        target, options = addresses.without_scheme(address), self._options(address)
        if current is None:
            return grpc.aio.insecure_channel(target, options=options)
        return grpc.aio.secure_channel(target, current.credentials, options=options)

    def blocking(self, address: str) -> grpc.Channel:
        """The same without asyncio, for calls that stream requests.

        grpc.aio (1.85, issue grpc/grpc#36066) loses the status of a service that ends such a call
        while a request is being written, and says INTERNAL instead of what the service refused.
        """
        credentials, opened = self._credentials(address), self._blocking.get(address)
        if opened is None or opened[0] is not credentials:
            opened = self._blocking[address] = (
                credentials,
                self._open_blocking(address, credentials),
            )
        return opened[1]

    def _open_blocking(self, address: str, current: Current | None) -> grpc.Channel:
        target, options = addresses.without_scheme(address), self._options(address)
        if current is None:
            return grpc.insecure_channel(target, options=options)
        return grpc.secure_channel(target, current.credentials, options=options)

    def _options(self, address: str) -> list[tuple[str, int | str]]:
        return [*_options(address), *name_options(self._settings.tls_name)]

    def _credentials(self, address: str) -> Current | None:
        """The credentials of a channel that is opened now. Raises FailedPrecondition for unusable files."""
        settings = self._settings
        if not settings.is_over_tls(address):
            return None
        if self._tls is None:
            self._tls = ClientTls(settings.tls_ca, settings.tls_cert, settings.tls_key)
        return self._tls.current()

    def unary(self, method: Method[Request, Response], address: str) -> Unary[Request, Response]:
        """A method of one request and one answer, as it is called at an address."""
        channel = self.asyncio(address)
        return channel.unary_unary(method.path, method.serialize, method.parse)

    def watch(self, method: Method[Request, Response], address: str) -> Watch[Request, Response]:
        """A method of one request and a stream of answers."""
        channel = self.asyncio(address)
        return channel.unary_stream(method.path, method.serialize, method.parse)

    def upload(self, method: Method[Request, Response], address: str) -> Upload[Request, Response]:
        """A method of a stream of requests and one answer, without asyncio."""
        channel = self.blocking(address)
        return channel.stream_unary(method.path, method.serialize, method.parse)

    async def close(self) -> None:
        """Close all channels; calls still running end as cancelled."""
        if forking.is_lost():  # they are the parent's, and closing them here would hang
            return
        for _, blocking in self._blocking.values():
            blocking.close()
        channels = [*self._retired, *(channel for _, channel in self._asyncio.values())]
        self._asyncio, self._blocking, self._retired = {}, {}, []
        for channel in channels:
            await channel.close()
