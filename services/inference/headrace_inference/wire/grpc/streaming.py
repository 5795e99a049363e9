"""ModelStreamInfer: many requests on one call, several in flight, answered in the order they came.

Two forms of the answer share the method's path. Triton's wraps each in a ModelStreamInferResponse, whose
errors are texts beside the answers of other requests; MLServer's is the bare ModelInferResponse, so an
error can only end the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import grpc

from headrace.errors import HeadraceError, ResourceExhausted
from headrace.inference import grpc_service_pb2 as pb
from headrace.service.serving import open_background
from headrace_inference.domain.ingress.receptions import Reception
from headrace_inference.domain.ingress.reply_queue import ReplyQueue
from headrace_inference.wire.codec.protobuf_fields import varint
from headrace_inference.wire.grpc.infer_handler import Context, InferHandler, Response

StreamResponse = Literal["triton", "mlserver"]

STATUS_KEY = "triton_grpc_error"
"""Metadata that asks for a real status instead of an error text in the stream."""

FINAL_PARAMETER = "triton_final_response"
"""Triton's own load generator waits for ever for an answer without it."""

_FINAL, _NOT_FINAL = (
    pb.ModelInferResponse(
        parameters={FINAL_PARAMETER: pb.InferParameter(bool_param=is_final)}
    ).SerializeToString()
    for is_final in (True, False)
)
_INFER_RESPONSE_TAG = b"\x12"


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Options of streams: the form of answers, how many requests of one are in flight, and until when."""

    response: StreamResponse = "triton"
    max_in_flight: int = 256
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A request that got no answer: its id, where it could be read, and why."""

    id: bytes
    error: HeadraceError
    is_last = True


_Outcome = Response | _Failed
_Outcomes = ReplyQueue[_Outcome]
"""Of one request, in their order; the last ends it."""

MAX_UNSENT_RESPONSES = 4096
"""Of one request; a caller that reads slower than its model answers gets no more."""


class _Stream:
    """The answers of one stream, in the order of its requests, and the slots that bound them.

    `unsent` are the requests whose callers were told nothing yet: those that the stream leaves so had none.
    """

    def __init__(self, context: Context, deadline: int | None, max_in_flight: int) -> None:
        self.context = context
        self.deadline = deadline
        self.slots = asyncio.Semaphore(max_in_flight)
        self.answers: asyncio.Queue[tuple[Reception, _Outcomes] | None]
        self.answers = asyncio.Queue()
        self.unsent: set[Reception] = set()
        self.unsent_bytes = 0


class _CallerLeft(Exception):
    """Nobody is there to write to any more."""


class StreamHandler:
    """Reads requests, has them answered side by side, and writes the answers in order."""

    def __init__(self, handler: InferHandler, options: StreamOptions) -> None:
        self._handler = handler
        self._options = options

    async def stream(self, requests: AsyncIterator[bytes], context: Context) -> None:
        """Serve one stream until its caller ends it. Raises HeadraceError where an error ends it.

        When the service stops, what is in flight is answered, and the stream ends with UNAVAILABLE: what
        else the caller sent was not read.
        """
        deadline = self._handler.deadline_ns(context.time_remaining())
        stream = _Stream(context, deadline, self._options.max_in_flight)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(stream))
                async with _until(self._options.stopping):
                    await self._read(requests, stream, group)
                stream.answers.put_nowait(None)
        except ExceptionGroup as failures:
            failure = failures.exceptions[0]
            if isinstance(failure, _CallerLeft):
                return
            raise failure from None
        finally:
            self._handler.release_answers(stream.unsent_bytes)
            for reception in stream.unsent:
                reception.left()
        if self._options.stopping.is_set():
            raise self._handler.stopping()

    async def _read(
        self, requests: AsyncIterator[bytes], stream: _Stream, group: asyncio.TaskGroup
    ) -> None:
        arrivals = aiter(requests)
        while True:
            await stream.slots.acquire()  # first: what is read is answered
            try:
                payload = await anext(arrivals)
            except StopAsyncIteration:
                return
            reception = self._handler.begin(payload, stream.deadline)
            stream.unsent.add(reception)
            outcomes: _Outcomes = ReplyQueue()
            group.create_task(self._answer(payload, stream, reception, outcomes))
            stream.answers.put_nowait((reception, outcomes))

    async def _answer(
        self, payload: bytes, stream: _Stream, reception: Reception, outcomes: _Outcomes
    ) -> None:
        request_id = b""
        try:
            parsed = await self._handler.parse(payload)
            request_id = parsed.id
            metadata = stream.context.invocation_metadata()
            async with aclosing(self._handler.answers(parsed, reception, metadata)) as answers:
                async for answer in answers:
                    self._hold(self._handler.response(parsed, answer), stream, outcomes)
        except HeadraceError as error:
            outcomes.put(_Failed(request_id, error))
        except Exception as bug:  # it ends the stream, and its caller hears of it
            reception.failed(bug)
            raise

    def _hold(self, response: Response, stream: _Stream, outcomes: _Outcomes) -> None:
        """Hold a response until it is written. Raises ResourceExhausted where too many are held."""
        if len(outcomes) >= MAX_UNSENT_RESPONSES:
            raise ResourceExhausted(
                "RESPONSES_UNREAD",
                f"{MAX_UNSENT_RESPONSES} responses to this request wait to be read, as many as may; read "
                "them while they come, and those to earlier requests of the same stream first",
            )
        stream.unsent_bytes += len(response.message)
        self._handler.hold_answer(len(response.message))
        outcomes.put(response)

    async def _write(self, stream: _Stream) -> None:
        while (next_one := await stream.answers.get()) is not None:
            reception, outcomes = next_one
            has_ended = False
            while not has_ended:
                outcome = await outcomes.get()
                await self._write_one(stream, reception, outcome)
                has_ended = outcome.is_last
            stream.slots.release()

    async def _write_one(self, stream: _Stream, reception: Reception, outcome: _Outcome) -> None:
        bare = self._options.response == "mlserver"
        if stream.context.done():
            raise _CallerLeft
        if outcome.is_last:
            _count(reception, outcome)
            stream.unsent.discard(reception)
        if isinstance(outcome, _Failed):
            if bare or _wants_status(stream.context.invocation_metadata() or ()):
                raise outcome.error
            await _send(stream.context, _error_message(outcome))
        elif outcome.message:
            await _send(stream.context, _message(outcome, bare=bare))
            stream.unsent_bytes -= len(outcome.message)
            self._handler.release_answers(len(outcome.message))


def _count(reception: Reception, outcome: _Outcome) -> None:
    """Count a request, just before its last answer is sent. Raises DeadlineExceeded."""
    if isinstance(outcome, _Failed):
        reception.failed(outcome.error)
    else:
        reception.answered()


async def _send(context: Context, message: bytes) -> None:
    try:
        await context.write(message)
    except grpc.aio.InternalError as error:
        raise _CallerLeft from error


def _wants_status(metadata: Iterable[tuple[str, str | bytes]]) -> bool:
    return any(key == STATUS_KEY and value == "true" for key, value in metadata)


def _error_message(failed: _Failed) -> bytes:
    response = pb.ModelInferResponse(id=failed.id.decode())
    message = pb.ModelStreamInferResponse(
        error_message=failed.error.message, infer_response=response
    )
    return message.SerializeToString()


def _message(response: Response, *, bare: bool) -> bytes:
    if bare:
        return response.message
    final = _FINAL if response.is_last else _NOT_FINAL
    length = varint(len(response.message) + len(final))
    return b"".join((_INFER_RESPONSE_TAG, length, response.message, final))


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
