"""Channels to addresses, opened when they are first called, and stubs whose methods are called at one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from headrace import addresses
from headrace.client import forking
from headrace.client.answers import LenientChannel

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
        self._asyncio: dict[str, Any] = {}
        self._blocking: dict[str, Any] = {}
        forking.note_connections(self)

    @property
    def connected(self) -> bool:
        """Whether any channel is open."""
        return bool(self._asyncio or self._blocking)

    def asyncio(self, address: str) -> Any:
        """The channel of grpc.aio to this address."""
        if address not in self._asyncio:
            self._asyncio[address] = grpc.aio.insecure_channel(address, options=_options(address))
        return self._asyncio[address]

    def blocking(self, address: str) -> Any:
        """The same without asyncio, for calls that stream requests.

        grpc.aio (1.85, issue grpc/grpc#36066) loses the status of a service that ends such a call
        while a request is being written, and says INTERNAL instead of what the service refused.
        """
        if address not in self._blocking:
            self._blocking[address] = grpc.insecure_channel(address, options=_options(address))
        return self._blocking[address]

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


class AtAddress:
    """A method of a stub that is called at an address: `method.at(address)(request, ...)`."""

    def __init__(self, make: Callable[[Any], Any], channel: Callable[[str], Any]) -> None:
        self._make = make
        self._channel = channel
        self._made: dict[str, tuple[Any, Any]] = {}

    def at(self, address: str) -> Any:
        """The method as the channel to this address makes it."""
        channel = self._channel(address)
        made = self._made.get(address)
        if made is None or made[0] is not channel:  # it was closed since
            made = self._made[address] = (channel, self._make(LenientChannel(channel)))
        return made[1]


class StubChannel:
    """What a stub is made with: nothing is called through it but at an address."""

    def __init__(self, channel: Callable[[str], Any]) -> None:
        self._channel = channel
        self.unary_unary = self._kind("unary_unary")
        self.unary_stream = self._kind("unary_stream")
        self.stream_unary = self._kind("stream_unary")
        self.stream_stream = self._kind("stream_stream")

    def _kind(self, kind: str) -> Callable[..., AtAddress]:
        def method(path: str, **codecs: Any) -> AtAddress:
            def make(channel: Any) -> Any:
                return getattr(channel, kind)(path, **codecs)

            return AtAddress(make, self._channel)

        return method
