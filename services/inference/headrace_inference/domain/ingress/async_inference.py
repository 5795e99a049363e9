"""Requests whose callers take one response, and wait for it on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from headrace.errors import HeadraceError
from headrace_inference.domain.ingress.incoming import IncomingRequest
from headrace_inference.domain.ingress.loop_inference import Answer, LoopInference
from headrace_inference.domain.ingress.receptions import Reception
from headrace_inference.domain.scheduling.requests import InferenceRequest


class AsyncInference(LoopInference["asyncio.Future[Answer]"]):
    """Answers requests with one response each."""

    async def infer(
        self, incoming: IncomingRequest, reception: Reception, held_bytes: int = 0
    ) -> Answer:
        """The answer to a request, which holds so many bytes until it is there.

        Raises HeadraceError; a cancelled wait drops the request if it can.
        """
        with self._ingress.budget.holding(1, held_bytes):
            request, future = await self._enqueue(incoming, reception)
            try:
                answer = await future
            except asyncio.CancelledError:
                request.leave(self._now_ns())
                raise
        reception.run = answer.request, answer.times
        return answer

    def _new_reply(self) -> asyncio.Future[Answer]:
        return self._loop.create_future()

    def deliver(self, answers: Sequence[Answer]) -> Collection[InferenceRequest]:
        """Wake those who wait, all of a batch in one trip to the loop; their receptions count them."""
        self._loop.call_soon_threadsafe(_settle_all, answers)
        return [answer.request for answer in answers]

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Wake the one who waits, with the error; its reception counts it."""
        self._loop.call_soon_threadsafe(_settle, request.reply, None, error)


def _settle_all(answers: Sequence[Answer]) -> None:
    for answer in answers:
        _settle(answer.request.reply, answer, None)


def _settle(
    future: asyncio.Future[Answer], answer: Answer | None, error: HeadraceError | None
) -> None:
    if future.done():  # the caller has gone
        return
    if error is not None:
        future.set_exception(error)
    elif answer is not None:
        future.set_result(answer)
