"""Requests whose callers take one response, and wait for it on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import TypeVar

from headrace.errors import HeadraceError
from headrace.security.credentials import Credentials, PeerCertificate
from headrace_inference.domain.ingress.call_limits import CallLimiter, CallPlace
from headrace_inference.domain.ingress.callers import NotVerified
from headrace_inference.domain.ingress.incoming import IncomingRequest
from headrace_inference.domain.ingress.loop_inference import Answer, LoopInference
from headrace_inference.domain.ingress.receptions import Reception
from headrace_inference.domain.routing.request_texts import Headers
from headrace_inference.domain.scheduling.requests import InferenceRequest

Outcome = TypeVar("Outcome")


class AsyncInference(LoopInference["asyncio.Future[Answer]"]):
    """Answers requests with one response each."""

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

    async def enter(
        self, metadata: Headers, model_name: str, certificate: PeerCertificate | None
    ) -> CallLimiter | None:
        """Let a request in; the limits of its caller, if it has any. Raises HeadraceError."""
        callers = self._ingress.callers
        while True:
            try:
                return callers.enter(metadata, model_name, self._now_ns(), certificate)
            except NotVerified as waiting:
                credentials = waiting.credentials
            await self._verified(credentials)

    async def _verified(self, credentials: Credentials) -> None:
        verified: asyncio.Future[None] = self._loop.create_future()

        def tell(error: HeadraceError | None) -> None:
            self._loop.call_soon_threadsafe(_settle, verified, None, error)

        self._ingress.callers.verify(credentials, tell)
        await verified

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
