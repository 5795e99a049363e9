"""Requests whose callers take one response, and wait for it on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import TypeVar

from headrace.errors import HeadraceError
from headrace_inference.domain.ingress.call_limits import CallPlace
from headrace_inference.domain.ingress.entrance import Entrance
from headrace_inference.domain.ingress.incoming import IncomingRequest
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.limits import NO_LIMIT, AnswerLimit
from headrace_inference.domain.ingress.loop_inference import Answer, LoopInference
from headrace_inference.domain.ingress.receptions import Reception
from headrace_inference.domain.scheduling.requests import InferenceRequest

Outcome = TypeVar("Outcome")


class AsyncInference(LoopInference["asyncio.Future[Answer]"]):
    """Answers requests with one response each."""

    def __init__(self, ingress: Ingress, limit: AnswerLimit = NO_LIMIT) -> None:
        super().__init__(ingress, limit)
        self.enter = Entrance(ingress.callers, ingress.clock).enter
        """Lets a request in; the limits of its caller, if it has any. Raises HeadraceError."""

    async def infer(
        self, incoming: IncomingRequest, reception: Reception, held_bytes: int = 0
    ) -> Answer:
        """The answer to a request, which holds so many bytes until it is there.

        Raises HeadraceError; a cancelled wait drops the request if it can.
        """
        with self._ingress.budget.holding(1, held_bytes):
            limiter = None
            if self._ingress.callers.are_checked:
                name = incoming.header.model_name
                limiter = await self.enter(incoming.metadata, name, incoming.certificate)
            if limiter is None:
                answer = await self._answer(incoming, reception, None)
            else:
                with limiter.holding() as place:
                    answer = await self._answer(incoming, reception, place)
        reception.run = answer.request, answer.times
        return answer

    async def _answer(
        self, incoming: IncomingRequest, reception: Reception, place: CallPlace | None
    ) -> Answer:
        request, future = await self._enqueue(incoming, reception, place)
        try:
            return await future
        except asyncio.CancelledError:
            request.leave(self._now_ns())
            raise

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


def _settle(future: asyncio.Future[Outcome], outcome: Outcome, error: HeadraceError | None) -> None:
    if future.done():  # the caller has gone
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(outcome)
