"""Channels to addresses, opened when they are first called, and methods that are called at one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from headrace import addresses
from headrace.client import forking
from headrace.client.methods import Method, Request, Response, Undecodable

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
    """The open channels; `close` ends them."""

    def __init__(self) -> None:
        self._asyncio: dict[str, grpc.aio.Channel] = {}
        self._blocking: dict[str, grpc.Channel] = {}
        forking.note_connections(self)

    @property
    def connected(self) -> bool:
        """Return whether any channel is open."""
        return bool(self._asyncio or self._blocking)

    def asyncio(self, address: str) -> grpc.aio.Channel:
        """The channel of grpc.aio to this address."""
        if address not in self._asyncio:
            self._asyncio[address] = grpc.aio.insecure_channel(address, options=_options(address))
        return self._asyncio[address]

    def blocking(self, address: str) -> grpc.Channel:
        """The same without asyncio, for calls that stream requests.

        grpc.aio (1.85, issue grpc/grpc#36066) loses the status of a service that ends such a call
        while a request is being written, and says INTERNAL instead of what the service refused.
        """
        if address not in self._blocking:
            self._blocking[address] = grpc.insecure_channel(address, options=_options(address))
        return self._blocking[address]

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
        for blocking in self._blocking.values():
            blocking.close()
        self._blocking.clear()
        channels, self._asyncio = list(self._asyncio.values()), {}
        for channel in channels:
            await channel.close()
