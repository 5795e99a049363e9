"""A grpc.aio server with what every service has: errors, ids, health, reflection, drain."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from headrace import errors, status
from headrace.security import callers
from headrace.service import logs
from headrace.service.call_metrics import CallMetrics, MethodCalls
from headrace.service.grpc_admission import Admission, Gate, Metadata
from headrace.service.listening import HANDSHAKE_SECONDS
from headrace.service.tls_relay import Relay, open_relay_folder, relaying
from headrace.tls.grpc_servers import grpc_credentials
from headrace.tls.servers import ServerTls

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 2**31 - 1
"""Triton's clients set both limits to this; a server with less refuses what they send."""

MAX_PENDING_CALLS = 65_536
"""Calls that arrived and whose handler has not begun. From 1,000 on gRPC's own limit answers some of them
with CANCELLED, chosen by chance: also those of callers who have nothing to do with the crowd."""

MAX_METADATA_BYTES = 64 * 1024
"""The headers of a call, each counted with 32 bytes more (RFC 7540, 6.5.2). Between two limits of its own
(8 and 16 KiB) gRPC refuses calls by chance: callers with a token of 12 kB would lose half of theirs."""

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


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Around every call: whose it is, what its records carry, which status an error becomes, its count.

    Requests are parsed here, so bytes that are no protobuf are the caller's INVALID_ARGUMENT; those of
    callers who may not make the call are not parsed.
    """

    def __init__(self, calls: CallMetrics, gate: Gate) -> None:
        self._calls = calls
        self._gate = gate

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The method's handler, wrapped."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return handler
        method = handler_call_details.method
        return _wrapped(handler, _Method(method, self._calls.of(method), self._gate))


@dataclass(frozen=True, slots=True)
class _Method:
    """A method: its path, its calls, and who admits them."""

    path: str
    calls: MethodCalls
    gate: Gate

    async def begin(self, context: Any) -> Admission | None:
        """From here on the call's task, which is its own, acts and logs for this call."""
        metadata: Metadata = context.invocation_metadata() or ()
        logs.begin(logs.request_context(metadata))
        if self.gate.is_open:
            callers.begin(callers.caller_of(metadata, self.gate.peer_of(context)))
            return None
        return await self.gate.admit(self.path, context)


Read = Callable[[Any, Admission | None], Any]
"""Makes a method's message of bytes, or messages of a stream of bytes, and has them checked."""

_BUILDERS: Mapping[tuple[bool, bool], Any] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
"""By whether requests, and responses, are streams."""


def _wrapped(handler: Any, method: _Method) -> Any:
    parse, calls = handler.request_deserializer or bytes, method.calls
    behaviour: Any = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    read = _parsed_stream if handler.request_streaming else _parsed
    generates = handler.response_streaming and not inspect.iscoroutinefunction(behaviour)
    around = _around_stream if generates else _around_unary  # a coroutine writes to its context
    # as a stream of one the message is received when its caller was let in, not before
    as_stream = not handler.request_streaming and method.gate.receives_late(method.path)
    return _BUILDERS[handler.request_streaming or as_stream, handler.response_streaming](
        around(
            behaviour,
            lambda request, admission: read(parse, request, calls, admission),
            method,
            _only if as_stream else None,
        ),
        request_deserializer=None,
        response_serializer=handler.response_serializer,
    )


async def _only(requests: AsyncIterator[bytes]) -> bytes:
    """The message of a call that has one."""
    async for request in requests:
        return request
    raise errors.InvalidArgument("MALFORMED_REQUEST", "the call ended without its message")


Receive = Callable[[Any], Awaitable[bytes]] | None
"""Receives the message of a call that has one, where that was put off until its caller is known."""


def _around_unary(behaviour: Any, read: Read, method: _Method, receive: Receive) -> Any:
    calls = method.calls

    async def call(request: Any, context: Any) -> Any:
        with calls.begin(context) as counted:
            try:
                admission = await method.begin(context)
                if receive is not None:
                    request = await receive(request)
                response = await behaviour(read(request, admission), context)
            except errors.HeadraceError as error:
                refusal = error
            except (grpc.aio.AbortError, GeneratorExit):
                raise
            except Exception:
                logger.exception("a bug ended a call", extra={"method": method.path})
                refusal = _bug()
            else:
                calls.sent += 1
                return response
            # grpc keeps what aborts in a cycle, with this frame: it must not hold the message
            del request
            counted.refused(status.grpc_code(refusal), refusal.reason)
            await _abort(context, refusal)
            return None

    return call


def _around_stream(behaviour: Any, read: Read, method: _Method, receive: Receive) -> Any:
    calls = method.calls

    async def call(request: Any, context: Any) -> AsyncIterator[Any]:
        refusal: errors.HeadraceError | None = None
        with calls.begin(context) as counted:
            try:
                admission = await method.begin(context)
                if receive is not None:
                    request = await receive(request)
                async for response in behaviour(read(request, admission), context):
                    if admission is not None:
                        await admission.check_again()
                    calls.sent += 1
                    yield response
            except errors.HeadraceError as error:
                refusal = error
            except (grpc.aio.AbortError, GeneratorExit):
                raise
            except Exception:
                logger.exception("a bug ended a call", extra={"method": method.path})
                refusal = _bug()
            if refusal is not None:
                del request
                counted.refused(status.grpc_code(refusal), refusal.reason)
                await _abort(context, refusal)

    return call


async def _abort(context: Any, error: errors.HeadraceError) -> None:
    error.forget_history()
    await context.abort(
        status.grpc_code(error), error.message, trailing_metadata=status.trailing_metadata(error)
    )


def _bug() -> errors.Internal:
    return errors.Internal(
        "INTERNAL", "the service failed on its own account; its log has the details"
    )


def _parsed(
    parse: Callable[[bytes], Any], request: bytes, calls: MethodCalls, admission: Admission | None
) -> Any:
    calls.received += 1
    try:
        message = parse(request)
    except DecodeError as error:
        raise errors.InvalidArgument(
            "MALFORMED_REQUEST", "the request's bytes are not a message of this method"
        ) from error
    if admission is not None:
        admission.check(message)
    return message


async def _parsed_stream(
    parse: Callable[[bytes], Any],
    requests: AsyncIterator[bytes],
    calls: MethodCalls,
    admission: Admission | None,
) -> AsyncIterator[Any]:
    async for request in requests:
        if admission is not None:
            await admission.check_again()
        parsed = _parsed(parse, request, calls, admission)
        del request  # a caller that pauses must not make this hold what it sent last
        yield parsed
        del parsed
