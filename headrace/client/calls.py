"""Calls to the three services: deadlines, retries, other addresses, errors of ours."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeVar

import grpc

from headrace import errors, status
from headrace.client import call_errors, forking
from headrace.client.answers import malformed
from headrace.client.channels import Channels
from headrace.client.endpoints import Endpoint, Endpoints
from headrace.client.headers import as_ascii, reason_metadata
from headrace.client.liveness import LivenessProbes
from headrace.client.methods import Method, Request, Response, Undecodable
from headrace.client.retry import may_heal, pause_before_retry
from headrace.client.retry_budget import RetryBudget
from headrace.client.settings import ClientSettings
from headrace.client.trace_context import trace_metadata
from headrace.security import callers
from headrace.tls.token_file import AUTHORIZATION, TokenFile, require_private_way

if TYPE_CHECKING:
    from headrace.client.channels import Upload

Service = Literal["registry", "inference", "monitor"]
Metadata = tuple[tuple[str, str], ...]
Answer = TypeVar("Answer")
Attempt = Callable[[str, float], Awaitable[Response | Undecodable]]
"""Makes a call at an address, which may take so many seconds."""

WATCH_SECONDS = 10.0
"""How long a watch may be silent, which is usual, until the server is asked whether it lives."""

_LEAVING = "REPLICA_STOPPING"


class Calls:
    """The client's side of every call; `close` ends the channels."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._channels = Channels(settings)
        self._token = TokenFile(settings.token_file) if settings.token_file else None
        self._private: set[str] = set()
        """The services that a token may be sent to."""
        self._endpoints = {
            service: Endpoints(listed, spread=service == "inference")
            for service, listed in settings.addresses().items()
        }
        self._met: set[str] = set()
        """The services that answered this client."""
        self._budget = RetryBudget(settings.retry_share, time.monotonic())
        self._probes = LivenessProbes(self._channels, settings.try_seconds)
        self._reason = reason_metadata(settings.reason)

    def upload(self, method: Method[Request, Response], address: str) -> Upload[Request, Response]:
        """A method that streams requests, for `call`."""
        return self._channels.upload(method, address)

    def stream(
        self, method: Method[Request, Response], address: str, request: Request, seconds: float
    ) -> grpc.aio.UnaryStreamCall[Request, Response | Undecodable]:
        """A method that streams its answer, for `call`: opened at an address, for so many seconds."""
        opened = self._channels.watch(method, address)
        return opened(request, timeout=seconds, metadata=self.metadata())

    def because(self, reason: str) -> Calls:
        """The same, with a reason for what it changes. Raises ValueError."""
        other = copy.copy(self)
        other.settings = replace(self.settings, reason=reason)
        other._reason = reason_metadata(reason)  # noqa: SLF001  # of its own class
        return other

    async def close(self) -> None:
        """Close all channels; calls still running end as cancelled."""
        await self._probes.close()
        await self._channels.close()

    def metadata(self, request_id: str = "") -> Metadata:
        """What every call says about its caller. Raises FailedPrecondition (TOKEN_FILE_UNUSABLE)."""
        actor = (callers.ACTOR_KEY, as_ascii(self.settings.actor))
        token = self._token.metadata() if self._token else ()
        named = (("x-request-id", as_ascii(request_id)),) if request_id else ()
        return (actor, *self._reason, *token, *named, *trace_metadata())

    def require_private_way(self, service: Service, more: Metadata = ()) -> None:
        """Raises FailedPrecondition (TOKEN_IN_PLAINTEXT) where what a call brings could be read."""
        if service in self._private or not (
            self._token or any(key == AUTHORIZATION for key, _ in more)
        ):
            return
        for address in self.settings.addresses()[service]:
            require_private_way(address, is_tls=self.settings.is_over_tls(address))
        self._private.add(service)

    def allowed(self, timeout_seconds: float | None) -> float:
        """Return how long a call may take that was given this much time, or none."""
        return self.settings.timeout_seconds if timeout_seconds is None else timeout_seconds

    def allowed_to_generate(self, timeout_seconds: float | None) -> float:
        """The same of a call that generates text."""
        longest = self.settings.generation_timeout_seconds
        return longest if timeout_seconds is None else timeout_seconds

    async def call(
        self,
        service: Service,
        attempt: Attempt[Response],
        *,
        repeatable: bool,
        timeout_seconds: float | None = None,
    ) -> Response:
        """The answer of `attempt(address, seconds left)`, tried again while that makes sense."""
        forking.require_grpc()
        self.require_private_way(service)
        total = self.allowed(timeout_seconds)
        started = time.monotonic()
        deadline = started + total
        self._budget.deposit()
        tried: list[Endpoint] = []
        failures = 0
        before: errors.HeadraceError | None = None
        while True:
            endpoint = self._pick(service, tried)
            try:
                seconds = max(0.0, deadline - time.monotonic())
                return await self._at(endpoint, service, attempt, seconds, repeatable=repeatable)
            except grpc.RpcError as rpc_error:
                error = self._error(service, endpoint, rpc_error, total)
                cause: BaseException | None = rpc_error
            except errors.Unavailable as silent:
                error, cause = silent, None
            failures += 1
            tried.append(endpoint)
            until = deadline if repeatable else started
            pause = self._pause(
                service, error, tried, failures, self._until(service, started, until)
            )
            if pause is None:
                raise call_errors.after(before, error) from cause
            before = error
            await asyncio.sleep(pause)

    def _pick(self, service: Service, tried: list[Endpoint]) -> Endpoint:
        endpoints, now = self._endpoints[service], time.monotonic()
        if endpoints.several:
            for silent in endpoints.to_be_asked(now):
                self._probes.ask(silent)
            if len(tried) >= len(endpoints.all):  # all had their turn: from the beginning
                del tried[:-1]
        return endpoints.pick(now, tried)

    def _until(self, service: Service, started: float, deadline: float) -> float:
        """Until when a call is tried: a service that never answered may be none."""
        first = self.settings.first_contact_seconds
        return deadline if service in self._met or not first else min(deadline, started + first)

    def _pause(
        self,
        service: Service,
        error: errors.HeadraceError,
        tried: list[Endpoint],
        failures: int,
        until: float,
    ) -> float | None:
        now = time.monotonic()
        pause = pause_before_retry(
            error,
            failures=failures,
            remaining_seconds=until - now,
            chance=random.random(),  # noqa: S311 spreads callers, guards nothing
            elsewhere=self._endpoints[service].has_another(now, tried),
        )
        return None if pause is None or not self._budget.withdraw(now) else pause

    async def _at(
        self,
        endpoint: Endpoint,
        service: Service,
        attempt: Attempt[Response],
        seconds: float,
        *,
        repeatable: bool,
    ) -> Response:
        """One try, at one address. Raises what it raises, and Unavailable for one that is silent."""
        endpoint.in_flight += 1
        try:
            made = attempt(endpoint.address, seconds)
            watched = repeatable and self.settings.try_seconds and self._endpoints[service].several
            if watched:
                made = self._unless_silent(endpoint, service, made, self.settings.try_seconds)
            answer = await made
        finally:
            endpoint.in_flight -= 1
        endpoint.answered()
        self._met.add(service)
        return self._decoded(endpoint, answer)

    async def _unless_silent(
        self, endpoint: Endpoint, service: Service, made: Awaitable[Answer], every: float
    ) -> Answer:
        """The answer, however long it takes, as long as the server says that it lives.

        It is asked when it was silent for `every` seconds, again and again. Raises Unavailable.
        """
        answer = asyncio.ensure_future(made)
        try:
            while True:
                done, _ = await asyncio.wait({answer}, timeout=every)
                if not done:
                    probe = self._probes.ask(endpoint)
                    await asyncio.wait({answer, probe}, return_when=asyncio.FIRST_COMPLETED)
                if answer.done():
                    return answer.result()
                if not probe.result():
                    raise call_errors.silent(service, endpoint.address)
        finally:
            answer.cancel()  # does nothing to one that is done
            await asyncio.wait({answer})

    async def unary(
        self,
        service: Service,
        method: Method[Request, Response],
        request: Request,
        *,
        repeatable: bool = True,
        timeout_seconds: float | None = None,
        request_id: str = "",
        more: Metadata = (),
    ) -> Response:
        """The answer to one request, with `more` metadata. Raises the errors that the method names."""
        self.require_private_way(service, more)

        async def attempt(address: str, seconds: float) -> Response | Undecodable:
            called = self._channels.unary(method, address)
            metadata = (*self.metadata(request_id), *more)
            return await called(request, timeout=seconds, metadata=metadata)

        return await self.call(
            service, attempt, repeatable=repeatable, timeout_seconds=timeout_seconds
        )

    async def watch(
        self, service: Service, method: Method[Request, Response], request: Request
    ) -> AsyncGenerator[Response, None]:
        """The messages of a stream that does not end, opened again when it breaks.

        The reader keeps `request` asking for what comes after the last message. A stream that cannot be
        had for as long as a call may take ends with the error that it was.
        """
        forking.require_grpc()
        self.require_private_way(service)
        tried: list[Endpoint] = []
        failures, began = 0, time.monotonic()
        while True:
            endpoint = self._pick(service, tried)
            try:
                opened = self._messages(method, request, endpoint)
                async with contextlib.aclosing(opened) as messages:
                    while (message := await self._next(endpoint, service, messages)) is not None:
                        endpoint.answered()
                        self._met.add(service)
                        failures, began = 0, time.monotonic()
                        tried.clear()
                        yield self._decoded(endpoint, message)
                        began = time.monotonic()  # the reader took its time
                error: errors.HeadraceError = call_errors.ended(service, endpoint.address)
            except grpc.RpcError as rpc_error:
                error = self._error(service, endpoint, rpc_error, self.settings.timeout_seconds)
            except errors.Unavailable as silent:
                error = silent
            failures += 1
            tried.append(endpoint)
            until = self._until(service, began, began + self.settings.timeout_seconds)
            pause = self._pause(service, error, tried, failures, until)
            if pause is None:
                raise error
            await asyncio.sleep(pause)

    async def answers(
        self,
        service: Service,
        method: Method[Request, Response],
        request: Request,
        *,
        timeout_seconds: float,
        more: Metadata = (),
    ) -> AsyncGenerator[Response, None]:
        """The messages of a stream that ends; it is opened again only where none of them has come.

        Closing the generator ends the call.
        """
        forking.require_grpc()
        self.require_private_way(service, more)
        began = time.monotonic()
        deadline = began + timeout_seconds
        self._budget.deposit()
        tried: list[Endpoint] = []
        failures, has_begun = 0, False
        while True:
            endpoint = self._pick(service, tried)
            endpoint.in_flight += 1
            try:
                seconds = max(0.0, deadline - time.monotonic())
                opened = self._messages(method, request, endpoint, seconds, more)
                async with contextlib.aclosing(opened) as messages:
                    while (message := await self._next(endpoint, service, messages)) is not None:
                        endpoint.answered()
                        self._met.add(service)
                        has_begun = True
                        yield self._decoded(endpoint, message)
            except grpc.RpcError as rpc_error:
                error = self._error(service, endpoint, rpc_error, timeout_seconds)
            except errors.Unavailable as silent:
                error = silent
            else:
                return
            finally:
                endpoint.in_flight -= 1
            failures += 1
            tried.append(endpoint)
            until = self._until(service, began, deadline)
            pause = None if has_begun else self._pause(service, error, tried, failures, until)
            if pause is None:
                raise error
            await asyncio.sleep(pause)

    async def _next(
        self, endpoint: Endpoint, service: Service, messages: AsyncGenerator[Answer, None]
    ) -> Answer | None:
        """The next message, None at the end. Raises Unavailable for a server that is silent and dead."""
        message = anext(messages, None)
        if not (self.settings.try_seconds and self._endpoints[service].several):
            return await message
        every = max(self.settings.try_seconds, WATCH_SECONDS)
        return await self._unless_silent(endpoint, service, message, every)

    async def _messages(
        self,
        method: Method[Request, Response],
        request: Request,
        endpoint: Endpoint,
        seconds: float | None = None,
        more: Metadata = (),
    ) -> AsyncGenerator[Response | Undecodable, None]:
        opened = self._channels.watch(method, endpoint.address)
        stream = opened(request, timeout=seconds, metadata=(*self.metadata(), *more))
        try:
            async for message in stream:
                yield message
        finally:
            stream.cancel()  # a reader that stops early must not leave the call running

    def _decoded(self, endpoint: Endpoint, answer: Response | Undecodable) -> Response:
        if isinstance(answer, Undecodable):
            raise malformed(
                f"the bytes that came from {endpoint.address} are not the message of this method"
            )
        return answer

    def _error(
        self, service: Service, endpoint: Endpoint, rpc_error: grpc.RpcError, total_seconds: float
    ) -> errors.HeadraceError:
        """Return the error of a failed call, and whether calls should go to another address."""
        error = status.error_from_rpc(rpc_error)
        unnamed = error.reason == rpc_error.code().name
        if unnamed:
            over_tls = self.settings.is_over_tls(endpoint.address)
            error = call_errors.without_reason(
                error, service, endpoint.address, total_seconds, over_tls=over_tls
            )
        if error.reason == _LEAVING or (unnamed and may_heal(error)):
            endpoint.failed(time.monotonic())
        elif not unnamed:
            endpoint.answered()
            self._met.add(service)
        return error


async def finished(call: grpc.Future[Answer]) -> Answer:
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
