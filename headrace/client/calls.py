"""Calls to the three services: channels opened when needed, deadlines, retries, errors of ours."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Literal, TypeVar

import grpc

from headrace import addresses, errors, identity, status
from headrace.client import forking
from headrace.client.answers import UNDECODABLE, LenientChannel, malformed
from headrace.client.retrying import pause_before_retry
from headrace.client.settings import ClientSettings

Response = TypeVar("Response")
Service = Literal["registry", "inference", "monitor"]
Metadata = tuple[tuple[str, str], ...]

MAX_MESSAGE_BYTES = 2**31 - 1
"""What the services accept: the largest message that gRPC's length field allows."""

_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A service that comes back is found within the retries of a call; gRPC's own first pause is 1 s.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
]

_HTTP_1 = "http1.x server"
"""What gRPC says of a server that answers its first bytes with HTTP/1.1."""


def _options(address: str) -> list[tuple[str, int]]:
    return _CHANNEL_OPTIONS + addresses.proxy_options(address)


class Calls:
    """The client's side of every call; `close` ends the channels."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._channels: dict[Service, LenientChannel] = {}
        self._blocking_channels: dict[Service, grpc.Channel] = {}
        forking.note_connections(self)

    @property
    def connected(self) -> bool:
        """Whether any channel is open."""
        return bool(self._channels or self._blocking_channels)

    def channel(self, service: Service) -> Any:
        """What stubs of a service call through, opened at its first use; for `unary` and `watch`."""
        if service not in self._channels:
            address = self.settings.addresses()[service]
            channel = grpc.aio.insecure_channel(address, options=_options(address))
            self._channels[service] = LenientChannel(channel)
        return self._channels[service]

    def blocking_channel(self, service: Service) -> Any:
        """The same without asyncio, for calls that stream requests, and for `call`.

        grpc.aio (1.85, issue grpc/grpc#36066) loses the status of a service that ends such a call
        while a request is being written, and says INTERNAL instead of what the service refused.
        """
        if service not in self._blocking_channels:
            address = self.settings.addresses()[service]
            channel = grpc.insecure_channel(address, options=_options(address))
            self._blocking_channels[service] = channel
        return LenientChannel(self._blocking_channels[service])

    async def close(self) -> None:
        """Close all channels; calls still running end as cancelled."""
        if forking.is_lost():  # they are the parent's, and closing them here would hang
            return
        for blocking in self._blocking_channels.values():
            blocking.close()
        self._blocking_channels.clear()
        channels, self._channels = list(self._channels.values()), {}
        for channel in channels:
            await channel.close()

    def metadata(self, request_id: str = "") -> Metadata:
        """What every call says about its caller."""
        actor = (identity.ACTOR_KEY, _ascii(self.settings.actor))
        return (actor, ("x-request-id", _ascii(request_id))) if request_id else (actor,)

    def allowed(self, timeout_seconds: float | None) -> float:
        """How long a call may take that was given this much time, or none."""
        return self.settings.timeout_seconds if timeout_seconds is None else timeout_seconds

    async def call(
        self,
        service: Service,
        attempt: Callable[[float], Awaitable[Response]],
        *,
        repeatable: bool,
        timeout_seconds: float | None = None,
    ) -> Response:
        """The answer of `attempt(seconds left)`, tried again while that makes sense."""
        forking.require_grpc()
        total = self.allowed(timeout_seconds)
        deadline = time.monotonic() + total
        attempts = self.settings.attempts if repeatable else 1
        for failures in range(1, attempts + 1):
            try:
                answer = await attempt(max(0.0, deadline - time.monotonic()))
                return self._decoded(service, answer)
            except grpc.RpcError as rpc_error:
                error = self.error(service, rpc_error, total)
                pause = pause_before_retry(
                    error,
                    failures=failures,
                    attempts=attempts,
                    remaining_seconds=deadline - time.monotonic(),
                    chance=random.random(),  # noqa: S311 spreads callers, guards nothing
                )
                if pause is None:
                    raise error from rpc_error
            await asyncio.sleep(pause)
        raise AssertionError("the last failure gives up")

    async def unary(
        self,
        service: Service,
        method: Callable[..., Awaitable[Response]],
        request: Any,
        *,
        repeatable: bool = True,
        timeout_seconds: float | None = None,
        request_id: str = "",
    ) -> Response:
        """The answer to one request. Raises the errors that the method names."""
        metadata = self.metadata(request_id)

        async def attempt(seconds: float) -> Response:
            return await method(request, timeout=seconds, metadata=metadata)

        return await self.call(
            service, attempt, repeatable=repeatable, timeout_seconds=timeout_seconds
        )

    async def watch(
        self, service: Service, open_stream: Callable[[], Any]
    ) -> AsyncGenerator[Any, None]:
        """The messages of a stream that does not end, opened again when it breaks.

        `open_stream()` asks for what comes after the last message; every message makes the number of
        allowed failures whole again.
        """
        forking.require_grpc()
        failures = 0
        while True:
            try:
                async with contextlib.aclosing(self._messages(open_stream())) as messages:
                    async for message in messages:
                        failures = 0
                        yield self._decoded(service, message)
                error: errors.HeadraceError = self._ended(service)
            except grpc.RpcError as rpc_error:
                error = self.error(service, rpc_error, self.settings.timeout_seconds)
            failures += 1
            pause = pause_before_retry(
                error,
                failures=failures,
                attempts=self.settings.attempts,
                remaining_seconds=float("inf"),
                chance=random.random(),  # noqa: S311 spreads callers, guards nothing
            )
            if pause is None:
                raise error
            await asyncio.sleep(pause)

    @staticmethod
    async def _messages(stream: Any) -> AsyncGenerator[Any, None]:
        try:
            async for message in stream:
                yield message
        finally:
            stream.cancel()  # a reader that stops early must not leave the call running

    def _decoded(self, service: Service, answer: Response) -> Response:
        if answer is UNDECODABLE:
            address = self.settings.addresses()[service]
            raise malformed(
                f"the bytes that came from {address} are not the message of this method"
            )
        return answer

    def _ended(self, service: Service) -> errors.Unavailable:
        address = self.settings.addresses()[service]
        return errors.Unavailable("STREAM_ENDED", f"the {service} at {address} ended the stream")

    def error(
        self, service: Service, rpc_error: grpc.RpcError, total_seconds: float
    ) -> errors.HeadraceError:
        """What a failed call means: the service's own error, or what kept the call from it."""
        error = status.error_from_rpc(rpc_error)
        call: Any = rpc_error
        if error.reason != call.code().name:
            return error
        return without_reason(error, service, self.settings.addresses()[service], total_seconds)


async def finished(call: Any) -> Any:
    """The answer of a call of a blocking channel, awaited; cancelling the wait cancels the call."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(done.set)

    call.add_done_callback(wake)
    try:
        await done.wait()
    finally:
        call.cancel()  # does nothing to a call that has ended
    return call.result()


def without_reason(
    error: errors.HeadraceError, service: str, address: str, total_seconds: float
) -> errors.HeadraceError:
    """An error that no service of ours gave a reason, as one that says where and what to do."""
    facts = {"service": service, "address": address}
    called = "replica" if service == "inference" else service
    if _HTTP_1 in error.message:
        return errors.FailedPrecondition(
            "PORT_NOT_GRPC",
            f"{address} answers HTTP/1.1: that is a port of REST or metrics; give the {called}'s gRPC "
            f"port ({_usual_port(service)} by default)",
            facts=facts,
        )
    if isinstance(error, errors.Unavailable):
        return errors.Unavailable(
            "SERVICE_UNREACHABLE",
            f"the {called} cannot be reached at {address} ({error.message.rpartition(': ')[2]}); "
            + (_past_the_proxy(address) or "`headrace up` starts the suite"),
            facts=facts,
        )
    if isinstance(error, errors.DeadlineExceeded):
        return errors.DeadlineExceeded(
            "DEADLINE_EXCEEDED",
            f"the {called} at {address} did not answer within {total_seconds:.3g} s; allow more with "
            "a longer timeout",
            facts=facts,
        )
    return type(error)(error.reason, f"the {called} at {address}: {error.message}", facts=facts)


def _usual_port(service: str) -> str:
    return ClientSettings().addresses()[service].rpartition(":")[2]


def _past_the_proxy(address: str) -> str:
    proxy = addresses.proxy_in_the_way(address)
    host, _ = addresses.split(address)
    return (
        f"the environment sends this call to a proxy ({proxy}): no_proxy={host} avoids it"
        if proxy
        else ""
    )


def _ascii(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text)
