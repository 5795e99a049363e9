"""Around every call of a grpc.aio server: who makes it, its log context, its errors and its count."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from headrace import errors, status
from headrace.security import callers
from headrace.service import logs
from headrace.service.call_metrics import CallMetrics, MethodCalls
from headrace.service.grpc_admission import Admission, Gate, Metadata

logger = logging.getLogger(__name__)


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
    writes: bool = False
    """Whether it is a coroutine that writes its answers to its context."""

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
    method = replace(method, writes=handler.response_streaming and not generates)
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


@dataclass(frozen=True, slots=True)
class _CheckedContext:
    """The context of a call that writes its answers: whoever may not be told any more is told no more.

    A generator whose call ends while it is written from is closed when it is collected; a coroutine ends
    at once. So what holds something for its caller is one.
    """

    context: Any
    admission: Admission | None
    calls: MethodCalls

    def __getattr__(self, name: str) -> Any:
        return getattr(self.context, name)

    async def write(self, message: Any) -> None:
        """Write a message, and count it. Raises Unauthenticated, PermissionDenied."""
        if self.admission is not None:
            await self.admission.check_again()
        self.calls.sent += 1
        await self.context.write(message)


def _around_unary(behaviour: Any, read: Read, method: _Method, receive: Receive) -> Any:
    calls = method.calls

    async def call(request: Any, context: Any) -> Any:
        with calls.begin(context) as counted:
            try:
                admission = await method.begin(context)
                if receive is not None:
                    request = await receive(request)
                own = context if not method.writes else _CheckedContext(context, admission, calls)
                response = await behaviour(read(request, admission), own)
            except errors.HeadraceError as error:
                refusal = error
            except (grpc.aio.AbortError, GeneratorExit):
                raise
            except Exception:
                logger.exception("a bug ended a call", extra={"method": method.path})
                refusal = _bug()
            else:
                calls.sent += not method.writes
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
