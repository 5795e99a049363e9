"""Requests whose callers take any number of responses on the event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence

from headrace.errors import HeadraceError
from headrace_inference.domain.ingress.incoming import IncomingRequest
from headrace_inference.domain.ingress.loop_inference import Answer, LoopInference
from headrace_inference.domain.ingress.receptions import Reception
from headrace_inference.domain.ingress.reply_queue import ReplyQueue
from headrace_inference.domain.scheduling.requests import InferenceRequest, ResponsePart


class ResponseStream:
    """The responses to one request, in their order. Whoever reads them closes it."""

    __slots__ = ("_settled", "is_closed")

    def __init__(self) -> None:
        self._settled = ReplyQueue[Answer | HeadraceError]()
        self.is_closed = False
        """True once nobody reads any more; other threads look at it."""

    def put(self, settled: Answer | HeadraceError) -> None:
        """Add a response, or the error that ends the request."""
        self._settled.put(settled)

    async def get(self) -> Answer:
        """Wait for the next response. Raises HeadraceError where the request failed."""
        settled = await self._settled.get()
        if isinstance(settled, HeadraceError):
            raise settled
        return settled


class StreamedInference(LoopInference[ResponseStream]):
    """Answers requests with one WHOLE response each, or with PARTIAL ones and an END."""

    takes_parts = True

    async def responses(
        self, incoming: IncomingRequest, reception: Reception, held_bytes: int = 0
    ) -> AsyncGenerator[Answer, None]:
        """Yield the responses to a request, which holds so many bytes until the last is there.

        Raises HeadraceError, also after PARTIAL ones. Whoever leaves before the last drops the request.
        """
        with self._ingress.budget.holding(1, held_bytes):
            request, stream = await self._enqueue(incoming, reception)
            has_ended = False
            try:
                while not has_ended:
                    answer = await stream.get()
                    has_ended = answer.part is not ResponsePart.PARTIAL
                    if has_ended:
                        reception.run = answer.request, answer.times
                    yield answer
            finally:
                stream.is_closed = True
                if not has_ended:
                    request.leave(self._now_ns())

    def _new_reply(self) -> ResponseStream:
        return ResponseStream()

    def deliver(self, answers: Sequence[Answer]) -> Collection[InferenceRequest]:
        """Wake those who wait; their receptions count them, when they end."""
        self._loop.call_soon_threadsafe(_put_all, answers)
        return [
            answer.request
            for answer in answers
            if answer.part is not ResponsePart.PARTIAL or answer.request.reply.is_closed
        ]

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Wake the one who waits, with the error; its reception counts it."""
        self._loop.call_soon_threadsafe(request.reply.put, error)


def _put_all(answers: Sequence[Answer]) -> None:
    for answer in answers:
        stream: ResponseStream = answer.request.reply
        stream.put(answer)
