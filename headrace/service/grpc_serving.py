"""A grpc.aio server with what every service has: errors, ids, health, reflection, drain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from headrace import errors
from headrace.service.call_metrics import CallMetrics
from headrace.service.grpc_admission import Gate
from headrace.service.grpc_calls import CallInterceptor
from headrace.service.listening import HANDSHAKE_SECONDS
from headrace.service.tls_relay import Relay, open_relay_folder, relaying
from headrace.tls.grpc_servers import grpc_credentials
from headrace.tls.servers import ServerTls

MAX_MESSAGE_BYTES = 2**31 - 1
"""Triton's clients set both limits to this; a server with less refuses what they send."""

MAX_PENDING_CALLS = 65_536
"""Calls that arrived and whose handler has not begun. From 1,000 on gRPC's own limit answers some of them
with CANCELLED, chosen by chance: also those of callers who have nothing to do with the crowd."""

MAX_METADATA_BYTES = 64 * 1024
"""The headers of a call, each counted with 32 bytes more (RFC 7540, 6.5.2). Between two limits of its own
(8 and 16 KiB) gRPC refuses calls by chance: callers with a token of 12 kB would lose half of theirs."""

MIN_PING_INTERVAL_SECONDS = 5
"""How often a caller may see whether a silent connection lives. By gRPC's own limit, five minutes, a
gateway that asks twice a minute is taken for a flood, and all watches through it end ("Too many pings")."""

Register = Callable[[grpc.aio.Server], None]


@dataclass(frozen=True, slots=True)
class GrpcServer:
    """A running server: the port it got, and its health, by service name ('' is the whole)."""

    port: int
    health: health.aio.HealthServicer
    service_names: Sequence[str] = ()

    async def set_serving(self, serving: bool) -> None:  # noqa: FBT001
        """Say by grpc.health.v1, of the whole and each service, whether calls should come here."""
        status = health_pb2.HealthCheckResponse
        for name in ("", *self.service_names):
            await self.health.set(name, status.SERVING if serving else status.NOT_SERVING)


@dataclass(frozen=True, slots=True)
class ConnectionAge:
    """The age at which connections end, and the time for calls in flight after it; 0: no limit.

    gRPC varies the age by a tenth, so that clients do not come back all at once.
    """

    max_seconds: float = 0.0
    grace_seconds: float = 0.0

    def options(self) -> list[tuple[str, int]]:
        """As gRPC has them."""
        if not self.max_seconds:
            return []
        options = [("grpc.max_connection_age_ms", max(1, int(self.max_seconds * 1000)))]
        if self.grace_seconds:
            grace = ("grpc.max_connection_age_grace_ms", max(1, int(self.grace_seconds * 1000)))
            options.append(grace)
        return options


@asynccontextmanager
async def open_grpc_server(
    address: str,
    service_names: Sequence[str],
    register: Register,
    *,
    drain_seconds: float,
    pool: descriptor_pool.DescriptorPool | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    calls: CallMetrics | None = None,
    age: ConnectionAge = ConnectionAge(),  # frozen
    ping_seconds: float = 0.0,
    shares_port: bool = False,
    gate: Gate | None = None,
    tls: ServerTls | None = None,
    unix_target: str = "",
) -> AsyncIterator[GrpcServer]:
    """Serve on `address` (`host:port`, port 0 for a free one, or `unix:PATH`) while inside.

    `register` adds the servicers; health and reflection over `pool` come with it. A larger request than
    `max_message_bytes` is answered with RESOURCE_EXHAUSTED, by gRPC itself. `calls` counts what it was
    announced to. A connection of a certain `age` is told to end (GOAWAY). One on which nothing came for
    `ping_seconds` is asked whether anybody is there, and ends if nobody answers for as long; 0 leaves that
    to TCP, which takes hours. Where it `shares_port`, other servers that do may listen there, too. The
    `gate` admits callers; without one everybody may call everything. With `tls` the port speaks nothing
    else; `unix_target` is a socket beside it, in plaintext. On leaving, health says NOT_SERVING,
    new calls are refused, and running ones have `drain_seconds` to end.
    Raises FailedPrecondition (ADDRESS_IN_USE) where the address cannot be bound.
    """
    options = [*_options(max_message_bytes), *age.options(), *_pings(ping_seconds)]
    options.append(("grpc.so_reuseport", int(shares_port)))
    async with _maybe_relay(tls) as relay:
        gate = gate or Gate()
        if relay is not None:
            gate.relays.append(relay)
        interceptor = CallInterceptor(calls or CallMetrics(), gate)
        server = grpc.aio.server(interceptors=[interceptor], options=options)
        register(server)
        health_servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
        names = [*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, server, pool=pool)
        if unix_target:
            _bind(server, unix_target, None)
        started = _started(server, address, tls, relay, drain_seconds, shares_port)
        async with started as port:
            opened = GrpcServer(port, health_servicer, service_names)
            await opened.set_serving(True)
            try:
                yield opened
            finally:
                await health_servicer.enter_graceful_shutdown()


def _maybe_relay(tls: ServerTls | None) -> AbstractAsyncContextManager[Relay | None]:
    """What verifies certificates before a server that could only require them, if that is needed."""
    is_needed = tls is not None and tls.client_auth == "optional"
    return open_relay_folder() if is_needed else nullcontext()


@asynccontextmanager
async def _started(
    server: grpc.aio.Server,
    address: str,
    tls: ServerTls | None,
    relay: Relay | None,
    drain_seconds: float,
    shares_port: bool,  # noqa: FBT001
) -> AsyncIterator[int]:
    """Serve while inside; gives the port."""
    port = _bind(server, relay.target if relay else address, None if relay else tls)
    await server.start()
    try:
        if relay is None or tls is None:
            yield port
        else:
            async with relaying(relay, address, tls, shares_port=shares_port) as port:
                yield port
    finally:
        await server.stop(drain_seconds)


def _options(max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_SECONDS * 1000)),
        ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_INTERVAL_SECONDS * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.server.max_pending_requests", MAX_PENDING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_CALLS),
    ]


def _pings(seconds: float) -> list[tuple[str, int]]:
    if not seconds:
        return []
    milliseconds = max(1, int(seconds * 1000))
    return [
        ("grpc.keepalive_time_ms", milliseconds),
        ("grpc.keepalive_timeout_ms", milliseconds),
        ("grpc.http2.ping_timeout_ms", milliseconds),
        ("grpc.http2.max_pings_without_data", 0),
    ]


def _bind(server: grpc.aio.Server, address: str, tls: ServerTls | None) -> int:
    try:
        if tls is not None:
            return server.add_secure_port(address, grpc_credentials(tls))
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise errors.FailedPrecondition(
            "ADDRESS_IN_USE",
            f"cannot listen on {address}: the port is in use or the address is not this machine's; "
            "choose another with --grpc-port (0 takes a free one)",
            facts={"address": address},
        ) from error
