"""ModelStreamInfer on grpc.aio: one task reads a stream, another writes, and none is made for a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from headrace.service.grpc_admission import CertificateOf
from headrace.service.serving import open_background
from headrace_inference.wire.grpc.infer_handler import Context
from headrace_inference.wire.streams.session import StreamService, StreamSession


class _CallerLeft(Exception):
    """Nobody is there to write to any more."""


class StreamHandler:
    """Reads requests, has them answered side by side, and writes the answers in order."""

    def __init__(
        self, service: StreamService, certificate_of: CertificateOf = lambda _: None
    ) -> None:
        self._service = service
        self._certificate_of = certificate_of

    async def stream(self, requests: AsyncIterator[bytes], context: Context) -> None:
        """Serve one stream until its caller ends it. Raises HeadraceError where an error ends it.

        When the service stops, what is in flight is answered, and the stream ends with UNAVAILABLE: what
        else the caller sent was not read.
        """
        stopping = self._service.options.stopping
        turn = _Turn()
        session = self._service.open(
            tuple(context.invocation_metadata() or ()),
            self._service.deadline_ns(context.time_remaining()),
            turn.begin,
            self._certificate_of(context) if self._service.callers.are_checked else None,
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_write(self._service, session, turn, context))
                async with _until(stopping):
                    await _read(requests, session, turn)
                session.end()
                turn.end()
        except ExceptionGroup as failures:
            failure = failures.exceptions[0]
            if isinstance(failure, _CallerLeft):
                return
            raise failure from None
        finally:
            session.leave()
        if stopping.is_set():
            raise self._service.stopping()


class _Turn:
    """Tells the writer of a stream that there may be something to write, and the reader of room."""

    def __init__(self) -> None:
        self._writer, self._reader = asyncio.Event(), asyncio.Event()
        self.has_ended = False
        """True once nothing more is read."""
        self.begin = self._writer.set
        self.give_room = self._reader.set

    def end(self) -> None:
        """Nothing more is read."""
        self.has_ended = True
        self.begin()

    async def wait(self) -> None:
        """Wait until there may be something to write."""
        await self._writer.wait()
        self._writer.clear()

    async def wait_for_room(self, session: StreamSession) -> None:
        """Wait until another request may be read."""
        while not session.has_room:
            self._reader.clear()
            await self._reader.wait()


async def _read(requests: AsyncIterator[bytes], session: StreamSession, turn: _Turn) -> None:
    arrivals = aiter(requests)
    while True:
        await turn.wait_for_room(session)  # first: what is read is answered
        try:
            payload = await anext(arrivals)
        except StopAsyncIteration:
            return
        session.put(payload)
        del payload  # a caller that pauses must not make this hold what it sent last


async def _write(
    service: StreamService, session: StreamSession, turn: _Turn, context: Context
) -> None:
    while True:
        if context.done():
            raise _CallerLeft
        message = session.take()
        turn.give_room()
        if message is not None:
            with service.holding(message):
                await _send(context, message)
            continue
        if turn.has_ended and session.is_answered:
            return
        await turn.wait()


async def _send(context: Context, message: bytes) -> None:
    try:
        await context.write(message)
    except grpc.aio.InternalError as error:
        raise _CallerLeft from error


@asynccontextmanager
async def _until(stopping: asyncio.Event) -> AsyncIterator[None]:
    """Break the block off when `stopping` is set."""
    try:
        async with asyncio.timeout(None) as limit, open_background() as jobs:
            jobs.run(_expire(limit, stopping))
            yield
    except TimeoutError:
        return


async def _expire(limit: asyncio.Timeout, stopping: asyncio.Event) -> None:
    await stopping.wait()
    limit.reschedule(asyncio.get_running_loop().time())
